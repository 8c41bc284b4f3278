"""How money reads."""

from django import template

from apps.billing.gateways.charges import Extra, ExtraLine
from apps.billing.money import dollars, in_dollars
from apps.billing.rating import Line, LineKind

register = template.Library()


@register.filter
def exact(micro_cents: int) -> str:
    """Sub-cent exact: $0.00005."""
    return dollars(micro_cents)


@register.filter
def cents(amount: int) -> str:
    """$1,234.50."""
    return in_dollars(amount)


@register.filter
def described(line: Line, plan: str) -> str:
    return {
        LineKind.BASE: f"{plan}, a month",
        LineKind.UNUSED: "Hours that the period did not have",
        LineKind.OVERAGE: "Checks beyond the included ones",
    }[line.kind]


@register.filter
def extra(line: ExtraLine, plan: str) -> str:
    return {
        Extra.UNUSED: f"{plan}, the hours that are left of what was paid",
        Extra.OVERAGE: f"{plan}, checks beyond the included ones",
    }[line.kind]


@register.filter
def brand(name: str) -> str:
    """A kind of card: Visa, American Express."""
    return {"amex": "American Express", "unionpay": "UnionPay"}.get(name, name.replace("_", " ").title())
