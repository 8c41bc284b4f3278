"""What a page shows depends on who looks: the same table of permissions that guards the views."""

from typing import Any

from django import template

from apps.tenants.selectors import MemberInfo, memberships_of

register = template.Library()


@register.simple_tag(takes_context=True)
def memberships(context: Any) -> list[MemberInfo]:
    """Where the reader belongs, by name."""
    return memberships_of(context["request"].user.id)


@register.simple_tag(takes_context=True)
def may(context: Any, permission: str) -> bool:
    """`{% may "rules_edit" as can_edit %}`; an unknown permission raises."""
    member: MemberInfo = context["request"].member
    return member.may(permission)
