"""What a page shows depends on who looks: the same table of permissions that guards the views."""

from typing import Any

from django import template

from apps.tenants.selectors import MemberInfo

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
