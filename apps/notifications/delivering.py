"""One delivery's way: taken in its tenant's scope, sent with no scope and no connection, settled in the scope again.

A channel's deliveries go in order of their ids. One that failed and waits for its next try holds the later ones back;
one that quiet hours hold does not, since only critical ones may pass it.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Min, Q, QuerySet
from django.utils.module_loading import import_string

from apps.core.scope import TenantUnknown, tenant_scope
from apps.core.sealing import unseal
from apps.notifications.channels.base import Envelope, Medium
from apps.notifications.channels.table import MEDIUMS
from apps.notifications.codes import code_of
from apps.notifications.house.lanes import lane_claim, lane_drop, lane_release, lane_renew
from apps.notifications.kinds import CHANNEL_CODE, KINDS, TESTS, Severity
from apps.notifications.models import FINAL, Channel, Delivery, Notice
from apps.notifications.outcomes import Taken, delivery_settle
from apps.notifications.quiet import quiet_end
from apps.notifications.rendering import Message, message_make
from apps.tenants.selectors import TenantInfo, members_of_tenant, tenant_get

RUN = timedelta(seconds=20)  # then the lane goes to the end of the queue

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to send before `next_at`; None: until somebody notifies."""

    next_at: datetime | None


def lane_run(*, tenant_id: int, channel_id: int, medium: str, clock: Callable[[], datetime]) -> int:
    """Delivers what is due through one channel. Returns how many were tried; 0 also when somebody else is at it."""
    begun = clock()
    lease = lane_claim(channel_id=channel_id, tenant_id=tenant_id, medium=medium, now=begun)
    if lease is None:
        return 0
    tried = 0
    next_at: datetime | None = begun
    while clock() < begun + RUN:
        try:
            taken = delivery_take(tenant_id=tenant_id, channel_id=channel_id, now=clock())
        except TenantUnknown:
            lane_drop(channel_id=channel_id)
            return tried
        if isinstance(taken, Idle):
            next_at = taken.next_at
            break
        tried += 1
        if not _send(tenant_id, taken, clock):
            next_at = None
            break
        if not lane_renew(channel_id=channel_id, lease=lease, now=clock()):
            return tried
    lane_release(channel_id=channel_id, lease=lease, next_at=next_at, now=clock())
    _connection_rest()
    return tried


def _send(tenant_id: int, taken: Taken, clock: Callable[[], datetime]) -> bool:
    """Whether the channel has more to deliver, now or later."""
    _connection_rest()
    started = time.monotonic()
    outcome = taken.medium.sender.send(taken.envelope)
    duration_ms = int((time.monotonic() - started) * 1_000)
    return delivery_settle(
        tenant_id=tenant_id, taken=taken, outcome=outcome, duration_ms=duration_ms, now=clock(),
        chance=random.SystemRandom(),
    )  # fmt: skip


def delivery_take(*, tenant_id: int, channel_id: int, now: datetime) -> Taken | Idle:
    """Marks what it returns as being sent. Only for who holds the channel's lane. Raises TenantUnknown."""
    with tenant_scope(tenant_id):
        channel = Channel.objects.filter(tenant_id=tenant_id, id=channel_id).first()
        if channel is None:
            lane_drop(channel_id=channel_id)
            return Idle(None)
        medium, tenant = MEDIUMS[channel.medium], tenant_get(tenant_id)
        while head := _head(channel, now):
            if head.due_at > now:
                return Idle(head.due_at)
            if _is_held_back(head, channel, medium, tenant, now):
                continue
            if not _is_stopped(head, channel, medium, now):
                return _taken(head, channel, medium, tenant, now)
        return Idle(_open(channel).aggregate(at=Min("due_at"))["at"])


def _open(channel: Channel) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        tenant_id=channel.tenant_id, channel_id=channel.id, status__in=("pending", "sending")
    ).order_by("id")


def _head(channel: Channel, now: datetime) -> Delivery | None:
    return _open(channel).filter(Q(due_at__lte=now) | Q(attempts__gt=0, is_held=False)).first()


def _is_stopped(head: Delivery, channel: Channel, medium: Medium, now: datetime) -> bool:
    """Ends what must not be sent (again)."""
    if head.status == "sending" and medium.sends_once:
        _end(head, "unknown", "We stopped while it was being sent, so it may have arrived.", now)
    elif head.attempts > len(medium.retries):
        _end(head, "failed", "It was tried as often as we try.", now)
    elif channel.disabled_at is not None and head.kind not in TESTS:
        _end(head, "skipped", "The channel was off.", now)
    elif channel.verified_at is None and not channel.is_member and head.kind not in TESTS:
        _end(head, "skipped", "The channel was not confirmed.", now)
    elif medium.needs_webhooks and not webhooks_allowed(channel.tenant_id):
        _end(head, "skipped", "The plan has no webhooks.", now)
    elif channel.is_member and not _address_of(channel):
        _end(head, "skipped", "The member has left.", now)
    elif medium.admit and (refusal := medium.admit(channel.tenant_id, _secret(channel), now)):
        _end(head, "failed", refusal, now)
    return head.status in FINAL


def _secret(channel: Channel) -> dict[str, Any]:
    secret: dict[str, Any] = json.loads(unseal(channel.secret)) if channel.secret else {}
    return secret


def webhooks_allowed(tenant_id: int) -> bool:
    """Plans are a room beside this one, so the settings say who knows."""
    return bool(import_string(settings.ENTITLEMENTS)(tenant_id).webhooks)


def _is_held_back(head: Delivery, channel: Channel, medium: Medium, tenant: TenantInfo, now: datetime) -> bool:
    if not medium.is_quietable or KINDS[head.kind].severity == Severity.CRITICAL:
        return False
    if head.status == "sending" and medium.sends_once:  # it may have arrived
        return False
    end = quiet_end(quiet_from=channel.quiet_from, quiet_until=channel.quiet_until, zone=tenant.timezone, now=now)
    if end is None:
        return False
    head.due_at, head.is_held, head.status = end, True, "pending"
    head.save(update_fields=["due_at", "is_held", "status"])
    return True


def _taken(head: Delivery, channel: Channel, medium: Medium, tenant: TenantInfo, now: datetime) -> Taken:
    together = [head]
    if head.is_held:
        together = list(_open(channel).filter(is_held=True, due_at__lte=now))
    ids = [delivery.id for delivery in together]
    attempt = together[-1].attempts + 1
    Delivery.objects.filter(id__in=ids).update(status="sending", attempts=attempt, started_at=now)
    secret = _secret(channel)
    address = _address_of(channel) if channel.is_member else str(secret.get("address", ""))
    envelope = Envelope(
        channel.id, ids[-1], attempt, _messages(together, tenant), channel.name, address, secret,
        code_of(channel) if head.kind == CHANNEL_CODE else "",
    )  # fmt: skip
    return Taken(envelope, medium, tuple(ids), had_failed=channel.failures > 0)


def _messages(deliveries: list[Delivery], tenant: TenantInfo) -> tuple[Message, ...]:
    notices = Notice.objects.in_bulk([delivery.notice_id for delivery in deliveries])
    return tuple(
        message_make(
            message_id=delivery.message_id, kind=KINDS[delivery.kind], tenant=tenant,
            context=notices[delivery.notice_id].context, at=notices[delivery.notice_id].created_at,
        )
        for delivery in deliveries
    )  # fmt: skip


def _address_of(channel: Channel) -> str:
    """A member's, as it is now; empty for who has left."""
    members = members_of_tenant(channel.tenant_id)
    return next((member.email for member in members if member.user_id == channel.owner_id), "")


def _end(delivery: Delivery, status: str, reason: str, now: datetime) -> None:
    delivery.status, delivery.reason, delivery.ended_at = status, reason, now
    delivery.save(update_fields=["status", "reason", "ended_at"])


def _connection_rest() -> None:
    """Back to the pool, where there is one: a slow receiver holds a thread, and none of the database's connections."""
    if not connection.in_atomic_block:
        connection.close()
