"""Changing tenants, members and cells."""

import re
from collections.abc import Sequence
from datetime import datetime
from secrets import token_hex
from zoneinfo import available_timezones

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q
from django.utils.text import slugify

from apps.core.enqueue import enqueue, enqueue_regardless
from apps.core.errors import Conflict, Invalid, NotFound
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.models import SLUG, Cell, KeyIndex, Membership, Tenant, User
from apps.tenants.selectors import TenantInfo, cells_with_room, deletion_open, tenant_get

MAX_SLUG = 48
FULL_SHARE = 0.8  # from here on the next cell is made


class NoCell(Conflict):
    code = "no_cell"


def tenant_create(*, name: str, owner_id: int | None, slug: str | None = None, timezone: str = "UTC") -> TenantInfo:
    """Puts a tenant into the first open cell. In the caller's transaction.

    Raises Invalid (name, slug, timezone), Conflict (slug taken), NoCell when every cell is full.
    """
    name = _name_clean(name)
    _timezone_verify(timezone)
    cell_id = _seat_take()
    tenant = _tenant_insert(name=name, slug=slug, timezone=timezone, cell_id=cell_id)
    if owner_id is not None:
        Membership.objects.create(user_id=owner_id, tenant=tenant, role=Membership.Role.OWNER)
    audit_write(
        tenant_id=tenant.id,
        action="tenant.created",
        target=Target(tenant.id, tenant.name),
        after={"name": tenant.name, "slug": tenant.slug, "timezone": timezone, "owner_id": owner_id},
    )
    enqueue("limits.snapshot_publish", tenant_id=tenant.id)  # without rules too, so that doors can answer no_rule
    return tenant_get(tenant.id)


@transaction.atomic
def tenant_update(*, tenant_id: int, name: str, timezone: str) -> TenantInfo:
    """Raises Invalid, NotFound."""
    name = _name_clean(name)
    _timezone_verify(timezone)
    before = _tenant_locked(tenant_id)
    Tenant.objects.filter(id=tenant_id).update(name=name, timezone=timezone)
    audit_write(
        tenant_id=tenant_id,
        action="tenant.updated",
        target=Target(tenant_id, before.name),
        before={"name": before.name, "timezone": before.timezone},
        after={"name": name, "timezone": timezone},
    )
    return tenant_get(tenant_id)


@transaction.atomic
def tenant_suspend(*, tenant_id: int, at: datetime | None) -> None:
    """None lifts the suspension. Doors refuse a suspended tenant's keys with 403. Raises NotFound, and Conflict where
    the deletion was asked for: it is lifted by taking that back.
    """
    revision_bump(tenant_id=tenant_id)
    before = _tenant_locked(tenant_id)
    if at is None and deletion_open(tenant_id):
        raise Conflict("An owner asked for its deletion. Whoever takes that back lifts the suspension, too.")
    Tenant.objects.filter(id=tenant_id).update(suspended_at=at)
    audit_write(
        tenant_id=tenant_id,
        action="tenant.resumed" if at is None else "tenant.suspended",
        target=Target(tenant_id, before.name),
        before={"suspended_at": before.suspended_at},
        after={"suspended_at": at},
    )


def revision_bump(*, tenant_id: int) -> int:
    """Counts a change that doors must learn of, in the caller's transaction, and has it published after the commit.

    The row stays locked until then, so changes of one tenant happen one after the other.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE public.tenants_tenant SET revision = revision + 1 WHERE id = %s RETURNING revision", [tenant_id]
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFound(f"there is no tenant {tenant_id}")
    enqueue("limits.snapshot_publish", tenant_id=tenant_id)
    return int(row[0])


def revision_lock(*, tenant_id: int) -> int:
    """The revision, which nobody changes before the end of the transaction. Raises NotFound."""
    return _tenant_locked(tenant_id).revision


def revisions_bump(*, tenant_ids: Sequence[int]) -> None:
    """`revision_bump` for many, without a publication each: the sweep finds them. In the caller's transaction."""
    rows = Tenant.objects.select_for_update().filter(id__in=tenant_ids).order_by("id")  # in one order, or two deadlock
    Tenant.objects.filter(id__in=[row.id for row in rows.only("id")]).update(revision=F("revision") + 1)


def user_create(*, email: str, password: str, name: str = "", is_staff: bool = False) -> int:
    """Returns the user's id. Raises Conflict when the address is taken."""
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, password, name=name, is_staff=is_staff, is_superuser=is_staff)
    except IntegrityError:
        raise Conflict(f"{email} has an account already", fields={"email": "This address has an account."}) from None
    return user.id


def user_ensure(*, email: str, password: str, name: str, is_staff: bool) -> int:
    """A user with exactly this password and a verified address. Returns the id."""
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        user = User(email=email)
    user.name, user.is_staff, user.is_superuser = name, is_staff, is_staff
    if not user.check_password(password):
        user.set_password(password)
    user.save()
    EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
    return user.id


def user_update(*, user_id: int, name: str) -> None:
    """Raises Invalid."""
    if len(name) > 80:
        raise Invalid("The name is not valid.", fields={"name": "Use at most 80 characters."})
    User.objects.filter(id=user_id).update(name=" ".join(name.split()))


@transaction.atomic
def membership_put(*, tenant_id: int, user_id: int, role: str) -> None:
    """Adds a member or changes the role. Raises Conflict when the last owner would be gone."""
    held = _member_keep(tenant_id=tenant_id, user_id=user_id, role=role)
    Membership.objects.update_or_create(tenant_id=tenant_id, user_id=user_id, defaults={"role": role})
    audit_write(
        tenant_id=tenant_id,
        action="member.role_changed" if held else "member.added",
        target=Target(user_id, User.objects.values_list("email", flat=True).get(id=user_id)),
        before={"role": held.role} if held else None,
        after={"role": role},
    )


@transaction.atomic
def membership_remove(*, tenant_id: int, user_id: int) -> None:
    """Who is no member stays none. Raises Conflict when the last owner would be gone."""
    held = _member_keep(tenant_id=tenant_id, user_id=user_id, role=None)
    if held is None:
        return
    held.delete()
    audit_write(
        tenant_id=tenant_id,
        action="member.removed",
        target=Target(user_id, held.user.email),
        before={"role": held.role},
    )


def key_index_put(
    *, digest: str, tenant_id: int, key_id: int, live: bool, scopes: Sequence[str], expires_at: datetime | None
) -> None:
    """Makes a key known to doors after the commit."""
    KeyIndex.objects.create(
        digest=digest, tenant_id=tenant_id, key_id=key_id, live=live, scopes=list(scopes), expires_at=expires_at
    )
    enqueue("limits.key_publish", tenant_id=tenant_id, key_id=key_id)


def key_index_end(
    *, tenant_id: int, key_id: int, expires_at: datetime | None = None, revoked_at: datetime | None = None
) -> None:
    """Lets a key end, now (`revoked_at`) or later (`expires_at`); doors learn of it after the commit."""
    ends = {"revoked_at": revoked_at} if revoked_at else {"expires_at": expires_at}
    KeyIndex.objects.filter(tenant_id=tenant_id, key_id=key_id).update(**ends)
    enqueue("limits.key_publish", tenant_id=tenant_id, key_id=key_id)


def cells_ensure() -> int:
    """Makes a cell when the last one with room is nearly full. Returns how many were made.

    For the owner's role, outside any transaction. Two at once are kept apart by a lock on a connection of its own:
    migrating closes the usual one.
    """
    keeper = connection.copy()
    try:
        with keeper.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext('cells_ensure'))")
            return _cells_ensure_alone()
    finally:
        keeper.close()


def cell_create(*, region: str = "default") -> int:
    """Makes the schema with every table in it, then lets tenants in: a crash leaves no cell without tables.

    For the owner's role. Returns the cell's id.
    """
    cell = Cell(schema_name=f"cell_{token_hex(5)}", region=region, capacity=settings.CELL_CAPACITY)
    cell.create_schema(check_if_exists=False, sync_schema=True, verbosity=0)
    cell.save()
    return int(cell.id)


def _cells_ensure_alone() -> int:
    room = [cell for cell in Cell.objects.filter(is_open=True) if cell.tenant_count < FULL_SHARE * cell.capacity]
    if room:
        return 0
    cell_create()
    return 1


def _seat_take() -> int:
    """One statement, so that two sign-ups never take the same last seat.

    The second try is for who waited for a seat that another one took: there may be room in the next cell.
    """
    row = _seat_try() or _seat_try()
    if row is None:
        enqueue_regardless("tenants.cells_ensure")
        raise NoCell("There is no room for another organisation right now; a new cell is being made.")
    cell_id, count, capacity = row
    if count >= FULL_SHARE * capacity and cells_with_room() <= 1:
        enqueue("tenants.cells_ensure")
    return cell_id


def _seat_try() -> tuple[int, int, int] | None:
    """(cell, tenants in it, capacity)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE public.tenants_cell SET tenant_count = tenant_count + 1
            WHERE id = (SELECT id FROM public.tenants_cell WHERE is_open AND tenant_count < capacity
                        ORDER BY id LIMIT 1 FOR UPDATE)
            RETURNING id, tenant_count, capacity
            """
        )
        row: tuple[int, int, int] | None = cursor.fetchone()
    return row


def _tenant_insert(*, name: str, slug: str | None, timezone: str, cell_id: int) -> Tenant:
    """A slug that was asked for must be free; one made from the name gets a tail when it is not."""
    if slug is not None and not re.fullmatch(SLUG.regex, slug):
        raise Invalid("The address is not valid.", fields={"slug": str(SLUG.message)})
    made = slugify(name)[: MAX_SLUG - 7].strip("-") or "team"
    for candidate in (slug,) if slug else (made, f"{made}-{token_hex(3)}"):
        try:
            with transaction.atomic():
                return Tenant.objects.create(name=name, slug=candidate, timezone=timezone, cell_id=cell_id)
        except IntegrityError:
            continue
    raise Conflict(f"The address “{slug or made}” is taken.", fields={"slug": "This address is taken."})


def _member_keep(*, tenant_id: int, user_id: int, role: str | None) -> Membership | None:
    """The membership as it is, locked together with those of the owners, who cannot all go. Raises Conflict."""
    concerned = Q(role=Membership.Role.OWNER) | Q(user_id=user_id)
    rows = list(
        Membership.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(concerned, tenant_id=tenant_id)
        .order_by("id")
    )
    owners = [row.user_id for row in rows if row.role == Membership.Role.OWNER]
    if owners == [user_id] and role != Membership.Role.OWNER:
        raise Conflict("An organisation keeps at least one owner.", fields={"role": "This is the only owner."})
    return next((row for row in rows if row.user_id == user_id), None)


def _tenant_locked(tenant_id: int) -> Tenant:
    """Raises NotFound."""
    held = Tenant.objects.select_for_update(no_key=True).filter(id=tenant_id).first()
    if held is None:
        raise NotFound(f"there is no tenant {tenant_id}")
    return held


def _name_clean(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 80:
        raise Invalid("The name is not valid.", fields={"name": "Use 1 to 80 characters."})
    return name


def _timezone_verify(timezone: str) -> None:
    if timezone not in available_timezones():
        raise Invalid("The time zone is not known.", fields={"timezone": "Choose a zone such as Europe/Berlin."})
