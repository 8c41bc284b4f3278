"""Who belongs to an organisation, changed by one of its members: what their role lets them do is asked here again,
because who is an owner may be changed by owners only.
"""

from django.db import transaction

from apps.core.errors import Conflict, Forbidden, Invalid, NotFound
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.models import Membership, User
from apps.tenants.permissions import Permission, role_allows
from apps.tenants.selectors import tenant_get
from apps.tenants.services import membership_put, membership_remove

ROLES = tuple(role.value for role in Membership.Role)


@transaction.atomic
def member_role_set(*, tenant_id: int, user_id: int, role: str, by_role: str) -> None:
    """Raises NotFound, Invalid, Forbidden, Conflict when the last owner would be gone."""
    role_verify(role)
    held = _member(tenant_id, user_id)
    owners_require(by_role, held.role, role)
    membership_put(tenant_id=tenant_id, user_id=user_id, role=role)


@transaction.atomic
def member_remove(*, tenant_id: int, user_id: int, by_role: str) -> None:
    """Raises NotFound, Forbidden, Conflict when the last owner would be gone."""
    owners_require(by_role, _member(tenant_id, user_id).role)
    membership_remove(tenant_id=tenant_id, user_id=user_id)


@transaction.atomic
def member_leave(*, tenant_id: int, user_id: int) -> None:
    """Whatever the role. Raises NotFound, Conflict when the last owner would be gone."""
    _member(tenant_id, user_id)
    membership_remove(tenant_id=tenant_id, user_id=user_id)


@transaction.atomic
def ownership_transfer(*, tenant_id: int, from_id: int, to_id: int, password: str) -> None:
    """The new owner is a member; the old one becomes an admin. Raises NotFound, Invalid (password), Forbidden."""
    if to_id == from_id:
        raise Conflict("You are an owner already.")
    new, old = _member(tenant_id, to_id), _member(tenant_id, from_id)
    if old.role != Membership.Role.OWNER:
        raise Forbidden("Only an owner can hand over the ownership.")
    if not User.objects.get(id=from_id).check_password(password):
        raise Invalid("The password is not right.", fields={"password": "This is not your password."})
    audit_write(
        tenant_id=tenant_id,
        action="tenant.ownership_transferred",
        target=Target(tenant_id, tenant_get(tenant_id).name),
        before={"owner": old.user.email},
        after={"owner": new.user.email},
    )
    membership_put(tenant_id=tenant_id, user_id=to_id, role=Membership.Role.OWNER)
    membership_put(tenant_id=tenant_id, user_id=from_id, role=Membership.Role.ADMIN)


def owners_require(by_role: str, *roles: str) -> None:
    """Raises Forbidden where owners are concerned and who asks is none."""
    if Membership.Role.OWNER in roles and not role_allows(by_role, Permission.OWNERS_EDIT):
        raise Forbidden("Only an owner can make, change or remove owners.")


def role_verify(role: str) -> None:
    """Raises Invalid."""
    if role not in ROLES:
        raise Invalid("The role is not valid.", fields={"role": f"Use one of {', '.join(ROLES)}."})


def _member(tenant_id: int, user_id: int) -> Membership:
    held = Membership.objects.select_related("user").filter(tenant_id=tenant_id, user_id=user_id).first()
    if held is None:
        raise NotFound(f"user {user_id} is no member")
    return held
