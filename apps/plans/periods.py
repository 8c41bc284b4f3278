"""Billing periods: months in UTC that begin at the hour at which the tenant took its plan.

A month that is too short for the day begins on its last one: taken on the 31st, the next ones begin on the 28th or
29th of February and the 31st of March.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Period:
    """[starts_at, ends_at), both in UTC."""

    starts_at: datetime
    ends_at: datetime

    @property
    def id(self) -> str:
        return self.starts_at.strftime("%Y-%m-%dT%HZ")

    def following(self, anchor_at: datetime) -> "Period":
        return period_at(anchor_at, self.ends_at)


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def period_at(anchor_at: datetime, now: datetime) -> Period:
    """The period that `now` lies in."""
    anchor, moment = anchor_at.astimezone(UTC), now.astimezone(UTC)
    months = moment.year * 12 + moment.month - 1
    if _begin(anchor, months) > moment:
        months -= 1
    return Period(_begin(anchor, months), _begin(anchor, months + 1))


def months_after(anchor_at: datetime, months: int) -> datetime:
    """When the period ends that is the `months`-th of those that begin at `anchor_at`."""
    anchor = anchor_at.astimezone(UTC)
    return _begin(anchor, anchor.year * 12 + anchor.month - 1 + months)


def _begin(anchor: datetime, months: int) -> datetime:
    """`months` since the year 0."""
    year, month = months // 12, months % 12 + 1
    return datetime(year, month, min(anchor.day, monthrange(year, month)[1]), anchor.hour, tzinfo=UTC)
