"""Recurring revenue and who stays. Months are those of UTC; money is cents of US dollars a month, at list price.

A tenant counts from the hour its paid plan begins until the hour it ends. A month's movement compares each tenant's
price at the month's start with that at its end, so what came and went within a month does not show.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from apps.plans.periods import months_after


@dataclass(frozen=True, slots=True)
class Span:
    """A tenant on a paid plan; `ends_at` None: until now."""

    tenant_id: int
    cents: int
    starts_at: datetime
    ends_at: datetime | None

    def covers(self, moment: datetime) -> bool:
        """Just before the moment, so that what begins with a month is the month's."""
        return self.starts_at < moment and (self.ends_at is None or moment <= self.ends_at)


@dataclass(frozen=True, slots=True)
class Movement:
    """From `starts_at` to `ends_at`. What `left` and `shrank` took is positive."""

    starts_at: datetime
    ends_at: datetime
    before_cents: int
    new_cents: int
    returned_cents: int
    grew_cents: int
    shrank_cents: int
    left_cents: int
    payers_before: int
    payers_new: int
    payers_returned: int
    payers_left: int
    signups: int

    @property
    def after_cents(self) -> int:
        return (
            self.before_cents + self.new_cents + self.returned_cents + self.grew_cents
            - self.shrank_cents - self.left_cents
        )  # fmt: skip

    @property
    def payers(self) -> int:
        return self.payers_before + self.payers_new + self.payers_returned - self.payers_left

    @property
    def churn(self) -> Fraction | None:
        """The share of those who paid that does no longer."""
        return _share(self.payers_left, self.payers_before)

    @property
    def revenue_kept(self) -> Fraction | None:
        """Net revenue retention: what those who paid at the start pay at the end."""
        return _share(self.before_cents + self.grew_cents - self.shrank_cents - self.left_cents, self.before_cents)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Those who paid first in one month: the share that pays at the end of that month and of each one since."""

    starts_at: datetime
    payers: int
    kept: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True)
class Conversion:
    """Of those who signed up in a month, how many have paid since."""

    starts_at: datetime
    signups: int
    payers: int

    @property
    def share(self) -> Fraction | None:
        return _share(self.payers, self.signups)


def month_of(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, 1, tzinfo=UTC)


def recurring(spans: Iterable[Span], moment: datetime) -> dict[int, int]:
    """Cents a month of each tenant that pays at the moment."""
    return {span.tenant_id: span.cents for span in spans if span.covers(moment)}


def movements(spans: Sequence[Span], signups: Mapping[int, datetime], *, now: datetime, months: int) -> list[Movement]:
    """The last one is of the month that is not over. `signups` has every tenant's."""
    first = _firsts(spans)
    return [_movement(spans, first, signups, starts_at, ends_at) for starts_at, ends_at in _months(now, months)]


def conversions(
    spans: Sequence[Span], signups: Mapping[int, datetime], *, now: datetime, months: int
) -> list[Conversion]:
    paid, found = set(_firsts(spans)), []
    for starts_at, ends_at in _months(now, months):
        came = {tenant_id for tenant_id, at in signups.items() if starts_at <= at < ends_at}
        found.append(Conversion(starts_at, len(came), len(came & paid)))
    return found


def cohorts(spans: Sequence[Span], *, now: datetime, months: int) -> list[Cohort]:
    members: dict[datetime, set[int]] = defaultdict(set)
    for tenant_id, at in _firsts(spans).items():
        members[month_of(at)].add(tenant_id)
    ends = [ends_at for _, ends_at in _months(now, months)]
    paying = {ends_at: recurring(spans, ends_at).keys() for ends_at in ends}
    return [
        Cohort(
            starts_at, len(members[starts_at]),
            tuple(
                Fraction(len(members[starts_at] & paying[ends_at]), len(members[starts_at]))
                for ends_at in ends
                if ends_at > starts_at
            ),
        )
        for starts_at, _ in _months(now, months)
        if members[starts_at]
    ]  # fmt: skip


def _movement(
    spans: Sequence[Span], first: Mapping[int, datetime], signups: Mapping[int, datetime], starts_at: datetime,
    ends_at: datetime,
) -> Movement:  # fmt: skip
    before, after = recurring(spans, starts_at), recurring(spans, ends_at)
    came = after.keys() - before.keys()
    new = {one for one in came if first[one] >= starts_at}
    left = before.keys() - after.keys()
    both = [after[one] - before[one] for one in before.keys() & after.keys()]
    return Movement(
        starts_at, ends_at,
        before_cents=sum(before.values()),
        new_cents=sum(after[one] for one in new),
        returned_cents=sum(after[one] for one in came - new),
        grew_cents=sum(change for change in both if change > 0),
        shrank_cents=-sum(change for change in both if change < 0),
        left_cents=sum(before[one] for one in left),
        payers_before=len(before), payers_new=len(new), payers_returned=len(came - new), payers_left=len(left),
        signups=sum(starts_at <= at < ends_at for at in signups.values()),
    )  # fmt: skip


def _firsts(spans: Iterable[Span]) -> dict[int, datetime]:
    """When each tenant began to pay."""
    first: dict[int, datetime] = {}
    for span in spans:
        first[span.tenant_id] = min(span.starts_at, first.get(span.tenant_id, span.starts_at))
    return first


def _months(now: datetime, count: int) -> Iterator[tuple[datetime, datetime]]:
    """The last `count` months, oldest first; the present one ends now."""
    present = month_of(now)
    for back in range(count - 1, 0, -1):
        yield months_after(present, -back), months_after(present, 1 - back)
    yield present, now


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None
