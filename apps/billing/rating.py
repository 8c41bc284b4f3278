"""From usage to a bill. Pure: nothing here knows where numbers come from.

A period has whole hours. A change of plan in the middle of a month ends a period at that hour: then its price is owed
for the hours that it had, and as large a share of the included checks comes with them. Overage is linear: every unit
beyond those included costs the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from apps.billing.money import cents_from_micro, share_cents

HOUR = timedelta(hours=1)
OVERAGE_CHECKS = 100_000  # what a plan's overage price is for


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan costs: cents a month, checks included in it, and micro-cents for each check beyond; None is none."""

    plan_code: str
    plan_name: str
    price_cents: int
    included: int
    overage_micro_cents: int | None


@dataclass(frozen=True, slots=True)
class BilledPeriod:
    """[starts_at, ends_at) in UTC, whole hours. `full_ends_at` is when it would have ended by itself."""

    starts_at: datetime
    ends_at: datetime
    full_ends_at: datetime
    terms: Terms

    @property
    def hours(self) -> int:
        return (self.ends_at - self.starts_at) // HOUR

    @property
    def full_hours(self) -> int:
        return (self.full_ends_at - self.starts_at) // HOUR

    @property
    def included(self) -> int:
        """Checks; a share is rounded up."""
        return -(-self.terms.included * self.hours // self.full_hours)


class LineKind(StrEnum):
    BASE = "base"
    UNUSED = "unused"  # what was paid ahead for hours that the period did not have
    OVERAGE = "overage"


@dataclass(frozen=True, slots=True)
class Line:
    """`quantity` times `unit_micro_cents`, rounded once, is `amount_cents`."""

    kind: LineKind
    quantity: int
    unit_micro_cents: int
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Bill:
    period: BilledPeriod
    used: int
    lines: tuple[Line, ...]

    @property
    def overage(self) -> int:
        return max(0, self.used - self.period.included)

    @property
    def total_cents(self) -> int:
        return sum(line.amount_cents for line in self.lines)


def overage_micro_cents(overage_cents: int) -> int:
    """A plan's price per OVERAGE_CHECKS, in cents, as the price of one check."""
    return overage_cents * 1_000_000 // OVERAGE_CHECKS


def bill(period: BilledPeriod, used: int) -> Bill:
    """`used` is the sum of the period's usage; corrections may make it negative."""
    terms = period.terms
    lines = []
    if terms.price_cents:
        lines.append(Line(LineKind.BASE, 1, terms.price_cents * 1_000_000, terms.price_cents))
        unused = share_cents(terms.price_cents, part=period.full_hours - period.hours, whole=period.full_hours)
        if unused:
            lines.append(Line(LineKind.UNUSED, 1, -unused * 1_000_000, -unused))
    beyond = max(0, used - period.included)
    if beyond and terms.overage_micro_cents:
        amount = cents_from_micro(beyond * terms.overage_micro_cents)
        lines.append(Line(LineKind.OVERAGE, beyond, terms.overage_micro_cents, amount))
    return Bill(period, used, tuple(lines))


def cheaper_with(bill_now: Bill, others: Iterable[Terms]) -> tuple[Terms, int] | None:
    """The plan with which the same usage of a whole period would have cost least, and by how many cents less; None when
    none is cheaper. Plans that end at their included checks count only when those are enough.
    """
    best: tuple[Terms, int] | None = None
    period = bill_now.period
    for terms in others:
        if terms.overage_micro_cents is None and bill_now.used > terms.included:
            continue
        other = bill(BilledPeriod(period.starts_at, period.full_ends_at, period.full_ends_at, terms), bill_now.used)
        saved = bill_now.total_cents - other.total_cents
        if saved > 0 and (best is None or saved > best[1]):
            best = (terms, saved)
    return best
