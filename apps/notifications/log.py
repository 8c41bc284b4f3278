"""Reading the log of deliveries, inside the tenant's scope."""

import json
from dataclasses import dataclass
from datetime import datetime

from apps.core.errors import NotFound
from apps.notifications.channels.webhook import event_of
from apps.notifications.kinds import KINDS, TESTS, Kind
from apps.notifications.models import FINAL, Attempt, Channel, Delivery, Notice
from apps.notifications.rendering import Message, message_make
from apps.tenants.selectors import TenantInfo, members_of_tenant

STATES = {
    "open": ("pending", "sending"),
    "sent": ("sent", "coalesced"),
    "failed": ("failed", "unknown", "skipped"),
}


@dataclass(frozen=True, slots=True)
class DeliveryInfo:
    id: int
    message_id: str
    kind: Kind
    channel_id: int
    channel_name: str
    medium: str
    status: str
    reason: str
    attempts: int
    is_held: bool
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    at: datetime
    outcome: str
    status_code: int | None
    duration_ms: int
    response: str


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """`body` is what a webhook sends, empty for others."""

    delivery: DeliveryInfo
    message: Message
    attempts: tuple[AttemptInfo, ...]
    body: str


def deliveries_of(
    *, tenant_id: int, channel_id: int | None = None, state: str = "", before_id: int | None = None, limit: int
) -> list[DeliveryInfo]:
    """The newest first; one more than `limit` when there are more."""
    rows = Delivery.objects.filter(tenant_id=tenant_id)
    if channel_id is not None:
        rows = rows.filter(channel_id=channel_id)
    if state in STATES:
        rows = rows.filter(status__in=STATES[state])
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    found = list(rows.order_by("-id")[: limit + 1])
    channels = Channel.objects.in_bulk({row.channel_id for row in found})
    people = {member.user_id: member.email for member in members_of_tenant(tenant_id)}
    return [_info(row, channels[row.channel_id], people) for row in found]


def delivery_page(*, tenant: TenantInfo, delivery_id: int) -> DeliveryPage:
    """Raises NotFound."""
    row = Delivery.objects.filter(tenant_id=tenant.id, id=delivery_id).first()
    if row is None:
        raise NotFound(f"there is no delivery {delivery_id}")
    channel, notice = Channel.objects.get(id=row.channel_id), Notice.objects.get(id=row.notice_id)
    people = {member.user_id: member.email for member in members_of_tenant(tenant.id)}
    message = message_make(
        message_id=row.message_id, kind=KINDS[row.kind], tenant=tenant, context=notice.context, at=notice.created_at
    )
    attempts = tuple(
        AttemptInfo(one.created_at, one.outcome, one.status_code, one.duration_ms, one.response)
        for one in Attempt.objects.filter(tenant_id=tenant.id, delivery_id=row.id).order_by("-id")[:50]
    )
    body = json.dumps(event_of(message), indent=2, ensure_ascii=False) if channel.medium == "webhook" else ""
    return DeliveryPage(_info(row, channel, people), message, attempts, body)


def _info(row: Delivery, channel: Channel, people: dict[int, str]) -> DeliveryInfo:
    name = people.get(channel.owner_id or 0, "a former member") if channel.is_member else channel.name
    return DeliveryInfo(
        row.id, row.message_id, KINDS[row.kind], row.channel_id, name, channel.medium, row.status, row.reason,
        row.attempts, row.is_held, row.due_at, row.created_at, row.ended_at,
    )  # fmt: skip


def is_resendable(delivery: DeliveryInfo) -> bool:
    """Codes end, and test messages are asked for anew."""
    return delivery.is_final and delivery.kind.code not in TESTS
