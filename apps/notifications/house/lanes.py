"""Who may deliver through which channel now.

A lane is claimed by conditional UPDATE: one worker a channel, so deliveries of a channel keep their order, and at most
`settings.LANES_A_TENANT` a tenant and medium, so that one tenant's slow receivers hold few workers. A claim empties
`due_at`; whoever notifies meanwhile sets it again and the release finds it, so no wake-up is lost. A worker that dies
leaves a lease, which runs out.

The table is shared: no scope is needed, and nothing in it is a customer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from apps.core.enqueue import enqueue
from apps.notifications.house.models import Lane

LEASE = timedelta(seconds=60)  # longer than the longest send
NUDGED_AGAIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class LaneInfo:
    channel_id: int
    tenant_id: int
    medium: str


def lanes_wake(*, tenant_id: int, channels: Sequence[tuple[int, str]], now: datetime) -> None:
    """There is something to do for these (channel, medium). In the caller's transaction; its commit sends tasks."""
    for channel_id, medium in sorted(channels):  # in one order, or two deadlock
        _put(channel_id, tenant_id, medium, now)
        _nudge(LaneInfo(channel_id, tenant_id, medium))


def lane_claim(*, channel_id: int, tenant_id: int, medium: str, now: datetime) -> int | None:
    """The lease's number; None when there is nothing to do, somebody does it, or the tenant has enough workers."""
    with transaction.atomic():
        _execute("SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))", name=f"lanes {tenant_id} {medium}")
        row = _row(
            """
            UPDATE public.notifications_house_lane SET due_at = NULL, leased_until = %(until)s, lease = lease + 1
            WHERE channel_id = %(channel)s AND (due_at <= %(now)s AND leased_until IS NULL OR leased_until < %(now)s)
              AND (SELECT count(*) FROM public.notifications_house_lane AS other WHERE other.tenant_id = %(tenant)s
                   AND other.medium = %(medium)s AND other.leased_until >= %(now)s) < %(cap)s
            RETURNING lease
            """,
            channel=channel_id, tenant=tenant_id, medium=medium, now=now, until=now + LEASE,
            cap=settings.LANES_A_TENANT,
        )  # fmt: skip
    return None if row is None else int(row[0])


def lane_renew(*, channel_id: int, lease: int, now: datetime) -> bool:
    """False when the lease is another's by now: then stop."""
    return bool(Lane.objects.filter(channel_id=channel_id, lease=lease).update(leased_until=now + LEASE))


def lane_release(*, channel_id: int, lease: int, next_at: datetime | None, now: datetime) -> None:
    """`next_at` is when the channel has something to do again. Also lets another lane of the tenant have its turn."""
    with transaction.atomic():
        row = _row(
            """
            UPDATE public.notifications_house_lane
            SET leased_until = NULL, nudged_at = NULL, due_at = least(due_at, %(next)s::timestamptz)
            WHERE channel_id = %(channel)s AND lease = %(lease)s RETURNING tenant_id, medium, due_at
            """,
            channel=channel_id, lease=lease, next=next_at,
        )  # fmt: skip
        if row is None:
            return
        tenant_id, medium, due_at = row
        if due_at is not None and due_at <= now:
            _nudge(LaneInfo(channel_id, tenant_id, medium))
        waiting = _waiting(tenant_id, medium, channel_id, now)
        if waiting is not None:
            _nudge(waiting)


def lanes_sweep(*, now: datetime, limit: int = 1_000) -> int:
    """Sends tasks for what is due and has none: after its time came, a crash, or a broker that was away.

    Of each tenant and medium at most as many as may run at once, so nobody fills the queues. Returns how many.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH ready AS (
                SELECT channel_id, row_number() OVER (PARTITION BY tenant_id, medium ORDER BY due_at) AS place
                FROM public.notifications_house_lane
                WHERE (due_at <= %(now)s AND leased_until IS NULL OR leased_until < %(now)s)
                  AND (nudged_at IS NULL OR nudged_at < %(stale)s)
            ), chosen AS (
                SELECT channel_id FROM public.notifications_house_lane
                WHERE channel_id IN (SELECT channel_id FROM ready WHERE place <= %(cap)s LIMIT %(limit)s)
                ORDER BY channel_id FOR UPDATE SKIP LOCKED
            )
            UPDATE public.notifications_house_lane AS lane SET nudged_at = %(now)s
            FROM chosen WHERE lane.channel_id = chosen.channel_id
            RETURNING lane.channel_id, lane.tenant_id, lane.medium
            """,
            {"now": now, "stale": now - NUDGED_AGAIN, "cap": settings.LANES_A_TENANT, "limit": limit},
        )
        found = [LaneInfo(*row) for row in cursor.fetchall()]
        for lane in found:
            _nudge(lane)
    return len(found)


def tenants_with_lanes(*, after_id: int = 0, limit: int = 1_000) -> list[int]:
    """A page of the tenants that have channels, by id."""
    rows = Lane.objects.filter(tenant_id__gt=after_id).order_by("tenant_id").values_list("tenant_id", flat=True)
    return list(rows.distinct()[:limit])


def lane_drop(*, channel_id: int) -> None:
    Lane.objects.filter(channel_id=channel_id).delete()


def _waiting(tenant_id: int, medium: str, channel_id: int, now: datetime) -> LaneInfo | None:
    row = _row(
        """
        SELECT channel_id FROM public.notifications_house_lane
        WHERE tenant_id = %(tenant)s AND medium = %(medium)s AND due_at <= %(now)s AND leased_until IS NULL
          AND channel_id <> %(channel)s ORDER BY due_at LIMIT 1
        """,
        tenant=tenant_id, medium=medium, channel=channel_id, now=now,
    )  # fmt: skip
    return None if row is None else LaneInfo(row[0], tenant_id, medium)


def _put(channel_id: int, tenant_id: int, medium: str, now: datetime) -> None:
    _execute(
        """
        INSERT INTO public.notifications_house_lane AS lane (channel_id, tenant_id, medium, due_at, nudged_at, lease)
        VALUES (%(channel)s, %(tenant)s, %(medium)s, %(now)s, %(now)s, 0)
        ON CONFLICT (channel_id) DO UPDATE
        SET due_at = least(lane.due_at, excluded.due_at), nudged_at = excluded.nudged_at
        """,
        channel=channel_id, tenant=tenant_id, medium=medium, now=now,
    )  # fmt: skip


def _nudge(lane: LaneInfo) -> None:
    enqueue(f"notifications.{lane.medium}", tenant_id=lane.tenant_id, channel_id=lane.channel_id)


def _execute(statement: str, **values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _row(statement: str, **values: Any) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row
