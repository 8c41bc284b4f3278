"""What a tenant owes, computed from what it did alone and in another way than the product does: with fractions and
dateutil, and no knowledge of terms, ledgers or Stripe.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from math import ceil

from dateutil.relativedelta import relativedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATE = 6 * HOUR  # what comes later than this after a period's end is billed in the hour in which it came
HELD = 7 * HOUR  # an invoice is charged so long after the period that it bills
RETRIES = (3 * DAY, 8 * DAY, 15 * DAY)  # after the first attempt


@dataclass(frozen=True)
class Plan:
    """Cents, checks, cents a check."""

    price: int
    included: int
    beyond: Fraction | None


PLANS = {
    "free": Plan(0, 100_000, None),
    "startup": Plan(4_900, 1_000_000, Fraction(500, 100_000)),
    "professional": Plan(19_900, 10_000_000, Fraction(300, 100_000)),
}


def floor_hour(at):
    return at.replace(minute=0, second=0, microsecond=0)


def half_up(amount):
    """Whole cents, half a cent away from zero."""
    sign = -1 if amount < 0 else 1
    return sign * ((abs(amount) * 2 + 1) // 2)


@dataclass
class Period:
    plan: str
    begins: object
    whole_end: object
    ends: object = None
    used: int = 0

    @property
    def share(self):
        ends = self.ends or self.whole_end
        return Fraction((ends - self.begins) // HOUR, (self.whole_end - self.begins) // HOUR)

    @property
    def overage(self):
        plan = PLANS[self.plan]
        return 0 if plan.beyond is None else max(0, self.used - ceil(plan.included * self.share))

    @property
    def cents(self):
        plan = PLANS[self.plan]
        unused = half_up(plan.price * (1 - self.share))
        return plan.price - unused + (half_up(self.overage * plan.beyond) if plan.beyond else 0)


@dataclass
class Life:
    """One tenant. `anchor` is when Stripe's cycle began, `months` how many of its months have begun; `pending` is the
    plan that follows when the period ends.
    """

    begun: object
    plan: str = "free"
    anchor: object = None
    months: int = 0
    pending: str = ""
    card_fails: bool = False
    charged_at: object = None  # when the renewal's invoice will be
    failing_since: object = None
    periods: list = field(default_factory=list)

    def __post_init__(self):
        self.anchor = self.begun
        self._begin()

    @property
    def is_sold(self):
        return self.plan != "free"

    def change(self, plan, at):
        """Now; the hour of the change is the new plan's."""
        self.periods[-1].ends = floor_hour(at)
        self.plan, self.anchor, self.pending = plan, at, ""
        self._begin()

    def roll(self, now):
        """Periods that have ended by themselves, and what becomes of a card that fails."""
        while self._renews_at() <= now:
            at = self._renews_at()
            if self.pending:
                self.change(self.pending, at)
            else:
                self._begin(self.months)
            if self.is_sold:
                self.charged_at = at + HELD
        if self.charged_at and self.charged_at <= now:
            self.failing_since = self.charged_at if self.card_fails else None
            self.charged_at = None
        if self.failing_since and self.failing_since + RETRIES[-1] <= now:
            self.change("free", now)
            self.failing_since = None

    def use(self, hour, units, found_at):
        of = next(period for period in reversed(self.periods) if period.begins <= hour)
        if found_at >= (of.ends or of.whole_end) + LATE:
            of = next(period for period in reversed(self.periods) if period.begins <= floor_hour(found_at))
        of.used += units

    def sold(self, until):
        """Periods that cost something and had ended by then. One that a change ended in its first hour is none."""
        return [one for one in self.periods if one.plan != "free" and one.begins < (one.ends or one.whole_end) <= until]

    def _renews_at(self):
        return self.anchor + relativedelta(months=self.months)

    def _begin(self, months=0):
        self.months = months + 1
        begins = floor_hour(self.anchor + relativedelta(months=months))
        self.periods.append(Period(self.plan, begins, floor_hour(self.anchor + relativedelta(months=months + 1))))
