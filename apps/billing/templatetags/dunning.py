"""What a tenant owes, on every page."""

from typing import Any

from django import template

from apps.billing.invoices import Owing, owing_of

register = template.Library()


@register.simple_tag(takes_context=True)
def owing(context: Any) -> Owing | None:
    """`{% owing as owed %}`, on pages of the workspace."""
    return owing_of(context["request"].tenant.id)
