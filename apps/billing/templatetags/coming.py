"""What follows the present plan, and what binds it."""

from typing import Any

from django import template

from apps.billing.selectors import AccountInfo, account_of

register = template.Library()


@register.simple_tag(takes_context=True)
def account(context: Any) -> AccountInfo | None:
    """`{% account as account %}`, on pages of the workspace."""
    return account_of(context["request"].tenant.id)
