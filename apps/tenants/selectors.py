"""Reading tenants, members and the key index. What leaves this room is frozen."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from apps.core.errors import NotFound
from apps.tenants.models import Cell, Deletion, Invitation, KeyIndex, Membership, Tenant, User
from apps.tenants.permissions import Permission, role_allows


@dataclass(frozen=True, slots=True)
class TenantInfo:
    id: int
    slug: str
    name: str
    timezone: str
    revision: int
    suspended_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """A user's place in a tenant."""

    tenant: TenantInfo
    user_id: int
    role: str

    def may(self, permission: Permission | str) -> bool:
        return role_allows(self.role, permission)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A row of the key index."""

    digest: str
    tenant_id: int
    key_id: int
    live: bool
    scopes: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None


def tenant_get(tenant_id: int) -> TenantInfo:
    """Raises NotFound."""
    tenant = Tenant.objects.filter(id=tenant_id).first()
    if tenant is None:
        raise NotFound(f"there is no tenant {tenant_id}")
    return _tenant_info(tenant)


def tenant_by_slug(slug: str) -> TenantInfo:
    """Raises NotFound."""
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise NotFound(f"there is no tenant “{slug}”")
    return _tenant_info(tenant)


def memberships_of(user_id: int) -> list[MemberInfo]:
    """By name."""
    rows = Membership.objects.select_related("tenant").filter(user_id=user_id).order_by("tenant__name", "tenant_id")
    return [MemberInfo(_tenant_info(row.tenant), user_id, row.role) for row in rows]


@dataclass(frozen=True, slots=True)
class Colleague:
    user_id: int
    email: str
    name: str
    role: str
    joined_at: datetime


def members_of_tenant(tenant_id: int) -> list[Colleague]:
    rows = Membership.objects.select_related("user").filter(tenant_id=tenant_id).order_by("created_at", "id")
    return [_colleague(row) for row in rows]


def members_page(*, tenant_id: int, after_id: int | None, limit: int) -> list[Colleague]:
    """By the user's id."""
    rows = Membership.objects.select_related("user").filter(tenant_id=tenant_id, user_id__gt=after_id or 0)
    return [_colleague(row) for row in rows.order_by("user_id")[:limit]]


def member_get(*, tenant_id: int, user_id: int) -> Colleague:
    """Raises NotFound."""
    row = Membership.objects.select_related("user").filter(tenant_id=tenant_id, user_id=user_id).first()
    if row is None:
        raise NotFound(f"user {user_id} is no member")
    return _colleague(row)


@dataclass(frozen=True, slots=True)
class InvitationInfo:
    """`by` is whoever invited, as they are called now; a colleague, where they left or a program did it."""

    id: int
    tenant: TenantInfo
    email: str
    role: str
    by: str
    asked_at: datetime
    sent_at: datetime | None
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None

    def is_over(self, now: datetime) -> bool:
        return self.expires_at <= now


def invitations_open(tenant_id: int) -> list[InvitationInfo]:
    """Newest first; those that have expired too."""
    rows = Invitation.objects.select_related("tenant", "invited_by").filter(
        tenant_id=tenant_id, accepted_at=None, revoked_at=None
    )
    return [invitation_info(row) for row in rows.order_by("-id")]


def invitation_get(invitation_id: int) -> InvitationInfo:
    """Raises NotFound."""
    row = Invitation.objects.select_related("tenant", "invited_by").filter(id=invitation_id).first()
    if row is None:
        raise NotFound(f"there is no invitation {invitation_id}")
    return invitation_info(row)


def invitation_info(row: Invitation) -> InvitationInfo:
    by = (row.invited_by.name or row.invited_by.email) if row.invited_by else "a colleague"
    return InvitationInfo(
        row.id, _tenant_info(row.tenant), row.email, row.role, by, row.asked_at, row.sent_at, row.expires_at,
        row.accepted_at, row.revoked_at,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeletionInfo:
    """`begun_at`: it cannot be taken back any more."""

    id: int
    tenant_id: int
    asked_at: datetime
    due_at: datetime
    begun_at: datetime | None


def deletion_open(tenant_id: int) -> DeletionInfo | None:
    """The one that was asked for and not taken back."""
    row = Deletion.objects.filter(tenant_id=tenant_id, taken_back_at=None, purged_at=None).first()
    return None if row is None else DeletionInfo(row.id, tenant_id, row.asked_at, row.due_at, row.begun_at)


def region_of(tenant_id: int) -> str:
    """Of the cell that its rows are in. Raises NotFound."""
    found = Tenant.objects.filter(id=tenant_id).values_list("cell__region", flat=True).first()
    if found is None:
        raise NotFound(f"there is no tenant {tenant_id}")
    return str(found)


def owners_of(tenant_id: int) -> list[str]:
    """Their addresses."""
    rows = Membership.objects.filter(tenant_id=tenant_id, role=Membership.Role.OWNER, user__is_active=True)
    return list(rows.order_by("id").values_list("user__email", flat=True))


def user_id_by_email(email: str) -> int | None:
    return User.objects.filter(email__iexact=email).values_list("id", flat=True).first()


def password_is_right(*, email: str, password: str) -> bool:
    user = User.objects.filter(email__iexact=email).first()
    return user is not None and user.check_password(password)


@dataclass(frozen=True, slots=True)
class PublishedState:
    """What doors must know of a tenant beside its rules."""

    tenant_id: int
    revision: int
    suspended: bool


def tenants_published(*, after_id: int = 0, limit: int = 1_000) -> list[PublishedState]:
    """A page of all tenants by id."""
    rows = Tenant.objects.filter(id__gt=after_id).order_by("id").values_list("id", "revision", "suspended_at")[:limit]
    return [PublishedState(tenant_id, revision, suspended is not None) for tenant_id, revision, suspended in rows]


def key_entries(*, page: int = 1_000) -> Iterator[list[KeyEntry]]:
    """Every page of the key index, in order of digest."""
    last = ""
    while rows := list(KeyIndex.objects.filter(digest__gt=last).order_by("digest")[:page]):
        yield [_key_entry(row) for row in rows]
        last = rows[-1].digest


def keys_ending(*, after: datetime, before: datetime) -> list[KeyEntry]:
    """Keys of all tenants that are not revoked and end in between, by tenant."""
    rows = KeyIndex.objects.filter(revoked_at=None, expires_at__gt=after, expires_at__lte=before)
    return [_key_entry(row) for row in rows.order_by("tenant_id", "key_id")]


def key_entry_get(*, tenant_id: int, key_id: int) -> KeyEntry | None:
    row = KeyIndex.objects.filter(tenant_id=tenant_id, key_id=key_id).first()
    return None if row is None else _key_entry(row)


def key_entry_by_digest(digests: Iterable[str]) -> KeyEntry | None:
    """Of the digests of one key under every pepper, the one that is known."""
    row = KeyIndex.objects.filter(digest__in=list(digests)).first()
    return None if row is None else _key_entry(row)


def digests_known(digests: Iterable[str]) -> set[str]:
    """Those of the digests that are in the index, whatever became of their keys."""
    return set(KeyIndex.objects.filter(digest__in=list(digests)).values_list("digest", flat=True))


def cells_with_room() -> int:
    """Open cells that could take another tenant."""
    return sum(1 for cell in Cell.objects.filter(is_open=True) if cell.tenant_count < cell.capacity)


def signups_all() -> dict[int, datetime]:
    """When each tenant came. For the whole house."""
    return dict(Tenant.objects.values_list("id", "created_at"))


def _colleague(row: Membership) -> Colleague:
    return Colleague(row.user_id, row.user.email, row.user.name, row.role, row.created_at)


def _tenant_info(tenant: Tenant) -> TenantInfo:
    return TenantInfo(
        tenant.id, tenant.slug, tenant.name, tenant.timezone, tenant.revision, tenant.suspended_at, tenant.created_at
    )


def _key_entry(row: KeyIndex) -> KeyEntry:
    return KeyEntry(row.digest, row.tenant_id, row.key_id, row.live, tuple(row.scopes), row.expires_at, row.revoked_at)
