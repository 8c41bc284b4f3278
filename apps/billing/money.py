"""Money: integers in cents of US dollars, and in micro-cents, a millionth of a cent, where a single check is priced.

Amounts become whole cents once, per line of a bill, half a cent away from zero. Nothing else rounds money.
"""

MICRO = 1_000_000  # micro-cents in a cent
CURRENCY = "usd"


def cents_from_micro(micro_cents: int) -> int:
    """Whole cents, half a cent away from zero."""
    whole, rest = divmod(abs(micro_cents), MICRO)
    cents = whole + (rest * 2 >= MICRO)
    return cents if micro_cents >= 0 else -cents


def share_cents(cents: int, *, part: int, whole: int) -> int:
    """`part` of `whole` equal parts of an amount, half a cent away from zero."""
    assert whole > 0 <= part
    doubled = 2 * abs(cents) * part + whole
    shared = doubled // (2 * whole)
    return shared if cents >= 0 else -shared


def dollars(micro_cents: int) -> str:
    """Exact, with two decimals at least: $5.00, $0.00005."""
    sign = "-" if micro_cents < 0 else ""
    whole, rest = divmod(abs(micro_cents), 100 * MICRO)
    decimals = f"{rest:08d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{decimals}"


def in_dollars(cents: int) -> str:
    """$5.00"""
    return dollars(cents * MICRO)
