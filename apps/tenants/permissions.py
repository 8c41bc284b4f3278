"""Who may do what: the one table that decorators, template tags, documentation and tests read."""

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


_DEVELOPER = frozenset({Permission.VIEW, Permission.RULES_EDIT, Permission.KEYS_EDIT})
_ADMIN = _DEVELOPER | {
    Permission.MEMBERS_EDIT,
    Permission.TENANT_EDIT,
    Permission.BILLING_VIEW,
    Permission.AUDIT_VIEW,
}

ROLE_PERMISSIONS: dict[str, frozenset[Permission]] = {
    "owner": _ADMIN | {Permission.TENANT_DELETE, Permission.BILLING_EDIT, Permission.OWNERS_EDIT},
    "admin": _ADMIN,
    "developer": _DEVELOPER,
    "billing": frozenset({Permission.VIEW, Permission.BILLING_VIEW, Permission.BILLING_EDIT}),
    "viewer": frozenset({Permission.VIEW}),
}


def role_allows(role: str, permission: Permission | str) -> bool:
    return Permission(permission) in ROLE_PERMISSIONS[role]
