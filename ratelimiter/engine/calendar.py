"""Days and months in a time zone, as milliseconds of Unix time.

The zone's rules come from the IANA database of this process (the package tzdata where the system has none). A day may
have 23 or 25 hours; a midnight that a change of the clocks skips is the moment of the change, and of a midnight that
comes twice the first counts.
"""

from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ratelimiter.engine.rules import Calendar, CalendarUnit


class Cell(NamedTuple):
    """[start_ms, end_ms), and the end of the one that follows."""

    start_ms: int
    end_ms: int
    next_end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


def cell_at(calendar: Calendar, at_ms: int) -> Cell:
    """The cell that `at_ms` lies in. Raises ZoneInfoNotFoundError."""
    zone = ZoneInfo(calendar.zone)
    today = datetime.fromtimestamp(at_ms / 1_000, zone).date()
    first = today if calendar.unit is CalendarUnit.DAY else _month_begun(today, calendar.anchor)
    start_ms = _midnight_ms(first, zone)
    if start_ms > at_ms:  # the first of two midnights lies ahead although the date has come
        first = _before(first, calendar)
    begins = [first, _after(first, calendar), _after(_after(first, calendar), calendar)]
    return Cell(*[_midnight_ms(day, zone) for day in begins])


@lru_cache(maxsize=65_536)
def length_ms(calendar: Calendar, end_ms: int) -> int:
    """Of the cell that ends at `end_ms`."""
    return cell_at(calendar, end_ms - 1).length_ms


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000


def _after(first: date, calendar: Calendar) -> date:
    if calendar.unit is CalendarUnit.DAY:
        return first + timedelta(days=1)
    return _anchored(first.year + first.month // 12, first.month % 12 + 1, calendar.anchor)


def _before(first: date, calendar: Calendar) -> date:
    if calendar.unit is CalendarUnit.DAY:
        return first - timedelta(days=1)
    return _month_begun(first - timedelta(days=1), calendar.anchor)


def _month_begun(today: date, anchor: int) -> date:
    """The latest anchor day that is not after `today`."""
    this = _anchored(today.year, today.month, anchor)
    if this <= today:
        return this
    earlier = today.replace(day=1) - timedelta(days=1)
    return _anchored(earlier.year, earlier.month, anchor)


def _anchored(year: int, month: int, anchor: int) -> date:
    return date(year, month, min(anchor, monthrange(year, month)[1]))
