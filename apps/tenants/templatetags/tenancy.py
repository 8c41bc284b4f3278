"""What a page shows depends on who looks: the same table of permissions that guards the views."""

from typing import Any

from django import template

from apps.tenants.selectors import DeletionInfo, MemberInfo, deletion_open

register = template.Library()


@register.simple_tag(takes_context=True)
def memberships(context: Any) -> list[MemberInfo]:
    """Where the reader belongs, by name; on pages of the workspace."""
    places: list[MemberInfo] = context["request"].places
    return places


@register.simple_tag(takes_context=True)
def may(context: Any, permission: str) -> bool:
    """`{% may "rules_edit" as can_edit %}`; an unknown permission raises."""
    member: MemberInfo = context["request"].member
    return member.may(permission)


@register.simple_tag(takes_context=True)
def leaving(context: Any) -> DeletionInfo | None:
    """`{% leaving as deletion %}`: it is to be deleted. Only a suspended one is, so others cost no query."""
    tenant = context["request"].tenant
    return deletion_open(tenant.id) if tenant.suspended_at else None
