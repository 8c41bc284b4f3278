"""Notifying: the one function that rooms above call, and what a member may switch off.

`notify` writes the notice, a delivery for every channel that hears of it, and wakes their lanes, all in the caller's
transaction: what rolls back was never said, what commits will be said, and the same (kind, dedupe key) is said once.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.notifications.audience import channels_hearing
from apps.notifications.auditing import channel_audit, own_mails_audit, own_mails_said
from apps.notifications.house.lanes import lanes_wake
from apps.notifications.kinds import KINDS, Kind, context_verify, kind_get
from apps.notifications.models import Channel, Delivery, Notice
from apps.notifications.muting import Muting


@transaction.atomic
def notify(
    *, tenant_id: int, kind: str, dedupe_key: str, context: Mapping[str, Any], user_id: int | None = None,
    now: datetime | None = None,
) -> int | None:  # fmt: skip
    """Tells whom it concerns, once for ever per (tenant, kind, dedupe key). Returns the notice's id, None when it was
    told before.

    `dedupe_key` names the occasion, at most 120 characters ("2026-11-01T00:80"); `context` has the kind's fields;
    `user_id` is told by mail whatever their role. Opens the tenant's scope unless it is open.
    Raises NotFound (kind), ContextWrong, TenantUnknown, ScopeConflict.
    """
    definition = kind_get(kind)
    context_verify(definition, context)
    now = now or timezone.now()
    with tenant_scope(tenant_id):
        notice_id = notice_put(tenant_id=tenant_id, kind=definition, dedupe_key=dedupe_key, context=context)
        if notice_id is None:
            return None
        channels = channels_hearing(tenant_id=tenant_id, kind=definition, user_id=user_id)
        deliveries_put(
            tenant_id=tenant_id, notice_id=notice_id, kind=definition, dedupe_key=dedupe_key, channels=channels, now=now
        )
    return notice_id


def notify_cooled(
    *, tenant_id: int, kind: str, subject: str, cool_down: timedelta, context: Mapping[str, Any], now: datetime
) -> int | None:
    """`notify` for what goes on: once, and again after `cool_down` at the earliest. `subject` is what it is about, at
    most 80 characters. Of two at once, one says it. Raises as `notify`.
    """
    with transaction.atomic(), tenant_scope(tenant_id):
        with connection.cursor() as cursor:
            name = f"notices {tenant_id} {kind} {subject}"
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        if is_cooling(tenant_id=tenant_id, kind=kind, subject=subject, cool_down=cool_down, now=now):
            return None
        return notify(
            tenant_id=tenant_id,
            kind=kind,
            dedupe_key=f"{subject}@{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}",
            context=context,
            now=now,
        )


def is_cooling(*, tenant_id: int, kind: str, subject: str, cool_down: timedelta, now: datetime) -> bool:
    """Whether that was said within `cool_down`. Inside the tenant's scope."""
    latest = (
        Notice.objects.filter(tenant_id=tenant_id, kind=kind, dedupe_key__startswith=f"{subject}@")
        .order_by("-dedupe_key")
        .values_list("dedupe_key", flat=True)
        .first()
    )
    if latest is None:
        return False
    said_at = datetime.fromisoformat(latest.rpartition("@")[2]).replace(tzinfo=UTC)
    return now.astimezone(UTC) < said_at + cool_down


def notice_put(*, tenant_id: int, kind: Kind, dedupe_key: str, context: Mapping[str, Any]) -> int | None:
    """None when there is one already; waits for who is just writing it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO notifications_notice (tenant_id, kind, dedupe_key, severity, context)"
            " VALUES (%s, %s, %s, %s, %s::jsonb) ON CONFLICT (tenant_id, kind, dedupe_key) DO NOTHING RETURNING id",
            [tenant_id, kind.code, dedupe_key, kind.severity.value, json.dumps(dict(context))],
        )
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def deliveries_put(
    *, tenant_id: int, notice_id: int, kind: Kind, dedupe_key: str, channels: Sequence[Channel], now: datetime
) -> None:
    """What a channel that is off would have got is kept as skipped, so that it can be delivered later by hand."""
    Delivery.objects.bulk_create(
        [
            Delivery(
                tenant_id=tenant_id, notice_id=notice_id, channel_id=channel.id, kind=kind.code, dedupe_key=dedupe_key,
                due_at=now, status="skipped" if channel.disabled_at else "pending",
                reason="The channel was off." if channel.disabled_at else "",
            )
            for channel in sorted(channels, key=lambda channel: channel.id)
        ],
        ignore_conflicts=True,
    )  # fmt: skip
    awake = [(channel.id, channel.medium) for channel in channels if not channel.disabled_at]
    lanes_wake(tenant_id=tenant_id, channels=awake, now=now)


def mute(muting: Muting) -> list[Kind]:
    """What a mail's link asks for. Returns the kinds that are off now; those that cannot be switched off stay."""
    kinds = [KINDS[code] for code in muting.kinds if code in KINDS and KINDS[code].is_mutable]
    with tenant_scope(muting.tenant_id):
        channel = Channel.objects.select_for_update().filter(id=muting.channel_id, medium="email").first()
        if channel is None:
            return kinds  # gone, so nothing is sent any more
        if channel.is_member:
            own = own_mails_said(channel)
            channel.muted = sorted({*channel.muted, *(kind.code for kind in kinds)})
            channel.save(update_fields=["muted"])
            own_mails_audit(channel, before=own, after=own_mails_said(channel))
        else:
            heard = (
                channel.kinds
                if channel.kinds is not None
                else [kind.code for kind in KINDS.values() if "email" in kind.media]
            )
            before = {"kinds": sorted(heard)}
            channel.kinds = sorted(set(heard) - {kind.code for kind in kinds})
            channel.save(update_fields=["kinds"])
            channel_audit("channel.updated", channel, before=before, after={"kinds": channel.kinds})
    return kinds
