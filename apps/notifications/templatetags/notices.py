"""What every page of the workspace says of notices."""

from typing import Any

from django import template

from apps.core.scope import tenant_scope
from apps.notifications.selectors import unread_count
from apps.tenants.selectors import MemberInfo

register = template.Library()


@register.simple_tag(takes_context=True)
def unread(context: Any) -> int:
    """How many notices the reader has not seen, for `{% unread as count %}`."""
    member: MemberInfo = context["request"].member
    with tenant_scope(member.tenant.id):
        return unread_count(tenant_id=member.tenant.id, user_id=member.user_id, role=member.role)
