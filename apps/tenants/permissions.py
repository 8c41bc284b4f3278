"""Who may do what: the one table that decorators, template tags, the API, documentation and tests read."""

from collections.abc import Iterable
from enum import StrEnum


class Permission(StrEnum):
    VIEW = "view"
    RULES_EDIT = "rules_edit"
    KEYS_EDIT = "keys_edit"
    BILLING_VIEW = "billing_view"
    BILLING_EDIT = "billing_edit"
    MEMBERS_EDIT = "members_edit"
    OWNERS_EDIT = "owners_edit"
    AUDIT_VIEW = "audit_view"
    TENANT_EDIT = "tenant_edit"
    TENANT_DELETE = "tenant_delete"
    TENANT_EXPORT = "tenant_export"


_DEVELOPER = frozenset({Permission.VIEW, Permission.RULES_EDIT, Permission.KEYS_EDIT})
_ADMIN = _DEVELOPER | {
    Permission.MEMBERS_EDIT,
    Permission.TENANT_EDIT,
    Permission.BILLING_VIEW,
    Permission.AUDIT_VIEW,
}

ROLE_PERMISSIONS: dict[str, frozenset[Permission]] = {
    "owner": _ADMIN
    | {Permission.TENANT_DELETE, Permission.TENANT_EXPORT, Permission.BILLING_EDIT, Permission.OWNERS_EDIT},
    "admin": _ADMIN,
    "developer": _DEVELOPER,
    "billing": frozenset({Permission.VIEW, Permission.BILLING_VIEW, Permission.BILLING_EDIT}),
    "viewer": frozenset({Permission.VIEW}),
}

# What an API key may at /api/v1 beside asking checks, by its scopes. No program owns an organisation: none deletes it,
# hands it over, makes owners or buys plans.
SCOPE_PERMISSIONS: dict[str, frozenset[Permission]] = {
    "check": frozenset(),
    "refund": frozenset(),
    "read": frozenset({Permission.VIEW}),
    "admin": _ADMIN,
}


def scopes_allow(scopes: Iterable[str]) -> frozenset[Permission]:
    return frozenset().union(*(SCOPE_PERMISSIONS[scope] for scope in scopes))


def scopes_beyond(scopes: Iterable[str], permissions: frozenset[Permission]) -> list[str]:
    """Those that allow what the permissions do not: nobody gives a key more than they may themselves."""
    return [scope for scope in scopes if not SCOPE_PERMISSIONS[scope] <= permissions]


def role_allows(role: str, permission: Permission | str) -> bool:
    return Permission(permission) in ROLE_PERMISSIONS[role]
