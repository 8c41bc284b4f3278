"""Revenue month by month, by the assumptions of the architecture document or by others.

A month's customers are those of the month before without the churned, and the sign-ups of the month of which a share
pays. What it costs is linear between now and the last month.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Shares between 0 and 1, money in cents a month; `growth` is by how much sign-ups grow from month to month. Costs
    are those of the last month.
    """

    payers: int = 0
    signups: int = 100
    growth: Fraction = Fraction(0)
    conversion: Fraction = Fraction(5, 100)
    churn: Fraction = Fraction(3, 100)
    price_cents: int = 12_500
    infrastructure_cents: int = 1_500_000
    personnel_cents: int = 4_000_000
    marketing_cents: int = 1_000_000
    months: int = 12

    @property
    def cost_cents(self) -> int:
        return self.infrastructure_cents + self.personnel_cents + self.marketing_cents


@dataclass(frozen=True, slots=True)
class Month:
    number: int
    signups: int
    payers: int
    revenue_cents: int
    infrastructure_cents: int
    cost_cents: int

    @property
    def yearly_cents(self) -> int:
        return 12 * self.revenue_cents

    @property
    def profit_cents(self) -> int:
        return self.revenue_cents - self.cost_cents

    @property
    def gross_margin(self) -> Fraction | None:
        return _margin(self.infrastructure_cents, self.revenue_cents)


def forecast(assumed: Assumptions) -> Iterator[Month]:
    """Customers are whole only where they are shown: shares of one are carried on."""
    payers, signups = Fraction(assumed.payers), Fraction(assumed.signups)
    for number in range(1, assumed.months + 1):
        payers = payers * (1 - assumed.churn) + signups * assumed.conversion
        yield Month(
            number, round(signups), round(payers), round(payers * assumed.price_cents),
            assumed.infrastructure_cents * number // assumed.months, assumed.cost_cents * number // assumed.months,
        )  # fmt: skip
        signups *= 1 + assumed.growth


def signups_for(assumed: Assumptions, payers: int) -> int | None:
    """Sign-ups a month, at least, after which so many pay in the last month; None where nobody ever pays."""
    one = Assumptions(
        payers=0, signups=1, growth=assumed.growth, conversion=assumed.conversion, churn=assumed.churn, price_cents=0,
        months=assumed.months,
    )  # fmt: skip
    kept = assumed.payers * (1 - assumed.churn) ** assumed.months
    each = _payers_exactly(one)
    if not each:
        return None
    missing = max(Fraction(0), payers - kept) / each
    return -(-missing.numerator // missing.denominator)


def _payers_exactly(assumed: Assumptions) -> Fraction:
    payers, signups = Fraction(assumed.payers), Fraction(assumed.signups)
    for _ in range(assumed.months):
        payers = payers * (1 - assumed.churn) + signups * assumed.conversion
        signups *= 1 + assumed.growth
    return payers


def _margin(cost_cents: int, revenue_cents: int) -> Fraction | None:
    return Fraction(revenue_cents - cost_cents, revenue_cents) if revenue_cents else None
