"""Reading notices, channels and deliveries, inside the tenant's scope. What leaves this room is frozen."""

from dataclasses import dataclass
from datetime import datetime

from apps.core.errors import NotFound
from apps.notifications.audience import roles_hearing
from apps.notifications.kinds import KINDS, LISTED, Kind
from apps.notifications.models import Channel, Notice, Preference, Seen
from apps.notifications.rendering import Message, message_make
from apps.tenants.permissions import ROLE_PERMISSIONS
from apps.tenants.selectors import TenantInfo

ROLES = tuple(ROLE_PERMISSIONS)
UNREAD_MOST = 100
MEMBER_MEDIA = ("inbox", "email")


@dataclass(frozen=True, slots=True)
class InboxRow:
    message: Message
    is_unread: bool


@dataclass(frozen=True, slots=True)
class MatrixCell:
    medium: str
    role: str
    is_on: bool

    @property
    def name(self) -> str:
        return f"{self.medium}:{self.role}"


@dataclass(frozen=True, slots=True)
class MatrixRow:
    kind: Kind
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    id: int
    medium: str
    name: str
    label: str
    owner_id: int | None
    is_member: bool
    kinds: tuple[str, ...] | None
    muted: tuple[str, ...]
    quiet_from: int | None
    quiet_until: int | None
    verified_at: datetime | None
    code_until: datetime | None
    failures: int
    disabled_at: datetime | None
    disabled_reason: str
    created_at: datetime


def kinds_shown(*, tenant_id: int, role: str) -> list[str]:
    """What the inbox shows to a role."""
    overrides = list(Preference.objects.filter(tenant_id=tenant_id, medium="inbox"))
    return [kind.code for kind in LISTED if role in roles_hearing(kind, "inbox", overrides)]


def unread_count(*, tenant_id: int, user_id: int, role: str) -> int:
    """At most UNREAD_MOST."""
    seen = Seen.objects.filter(tenant_id=tenant_id, user_id=user_id).values("until_id")
    until_id = next((row["until_id"] for row in seen), 0)
    unread = Notice.objects.filter(
        tenant_id=tenant_id, id__gt=until_id, kind__in=kinds_shown(tenant_id=tenant_id, role=role)
    )
    return unread[:UNREAD_MOST].count()


def inbox_of(*, tenant: TenantInfo, user_id: int, role: str, before_id: int | None, limit: int) -> list[InboxRow]:
    """The newest first, those before `before_id`; one more than `limit` when there are more."""
    seen = Seen.objects.filter(tenant_id=tenant.id, user_id=user_id).first()
    until_id = seen.until_id if seen else 0
    rows = Notice.objects.filter(tenant_id=tenant.id, kind__in=kinds_shown(tenant_id=tenant.id, role=role))
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    return [InboxRow(_message(row, tenant), row.id > until_id) for row in rows.order_by("-id")[: limit + 1]]


def matrix_of(tenant_id: int) -> list[MatrixRow]:
    overrides = list(Preference.objects.filter(tenant_id=tenant_id))
    return [
        MatrixRow(
            kind,
            tuple(
                MatrixCell(medium, role, role in roles_hearing(kind, medium, overrides))
                for medium in MEMBER_MEDIA
                for role in ROLES
            ),
        )
        for kind in LISTED
    ]


def channels_of(tenant_id: int) -> list[ChannelInfo]:
    """What the tenant connected, the oldest first; members' own mails are not among them."""
    return [channel_info(row) for row in Channel.objects.filter(tenant_id=tenant_id, is_member=False).order_by("id")]


def channel_get(*, tenant_id: int, channel_id: int) -> ChannelInfo:
    """Raises NotFound."""
    row = Channel.objects.filter(tenant_id=tenant_id, id=channel_id, is_member=False).first()
    if row is None:
        raise NotFound(f"there is no channel {channel_id}")
    return channel_info(row)


def own_mails(*, tenant_id: int, user_id: int) -> ChannelInfo | None:
    """A member's own mail channel; None until something was sent or set."""
    row = Channel.objects.filter(tenant_id=tenant_id, owner_id=user_id, is_member=True).first()
    return channel_info(row) if row else None


def channel_info(row: Channel) -> ChannelInfo:
    return ChannelInfo(
        row.id, row.medium, row.name, row.label, row.owner_id, row.is_member,
        None if row.kinds is None else tuple(row.kinds), tuple(row.muted), row.quiet_from, row.quiet_until,
        row.verified_at, row.code_until, row.failures, row.disabled_at, row.disabled_reason, row.created_at,
    )  # fmt: skip


def _message(row: Notice, tenant: TenantInfo) -> Message:
    return message_make(
        message_id=str(row.id), kind=KINDS[row.kind], tenant=tenant, context=row.context, at=row.created_at
    )
