"""Rounding. The one rule: an amount is rounded once, when its line is made, to whole cents, halves away from zero.

A total is the sum of rounded lines and is never rounded again.
"""

from decimal import ROUND_HALF_UP, Decimal, localcontext


def amount(unit_amount_decimal: str, quantity: int) -> int:
    """Cents for a quantity at a price of up to 12 decimal places of a cent."""
    with localcontext() as context:
        context.prec = 60
        return int((Decimal(unit_amount_decimal) * quantity).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def share(cents: int, part: int, whole: int) -> int:
    """Cents × part ÷ whole."""
    numerator = abs(cents) * part
    rounded = (2 * numerator + whole) // (2 * whole)
    return rounded if cents >= 0 else -rounded


def split(total: int, weights: list[int]) -> list[int]:
    """A total over lines by their weights: each gets its floor, the cents left over go to the largest remainders."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    floors = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-(total * weights[index] % whole), index))
    for index in by_remainder[: total - sum(floors)]:
        floors[index] += 1
    return floors


def decimal_text(value: Decimal) -> str:
    """As Stripe writes it: no exponent, no trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
