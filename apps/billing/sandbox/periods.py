"""Billing periods: [anchor + n × interval, anchor + (n + 1) × interval), in UTC; short months end on their last day."""

import calendar
from datetime import UTC, datetime

DAY_S = 86_400


def period_at(*, anchor: int, interval: str, count: int, at: int) -> tuple[int, int]:
    """The period that contains `at`, as Unix seconds [start, end)."""
    step = _seconds(interval, count)
    if step:
        start = anchor + (at - anchor) // step * step
        return start, start + step
    months = _months(interval, count)
    day = datetime.fromtimestamp(anchor, UTC)
    now = datetime.fromtimestamp(at, UTC)
    number = ((now.year - day.year) * 12 + now.month - day.month) // months
    while _plus_months(day, number * months) > at:
        number -= 1
    while _plus_months(day, (number + 1) * months) <= at:
        number += 1
    return _plus_months(day, number * months), _plus_months(day, (number + 1) * months)


def period_before(*, anchor: int, interval: str, count: int) -> int:
    """When the period would have started that ends at the anchor: what a first, shorter period is a part of."""
    step = _seconds(interval, count)
    if step:
        return anchor - step
    return _plus_months(datetime.fromtimestamp(anchor, UTC), -_months(interval, count))


def months_later(at: int, months: int) -> int:
    return _plus_months(datetime.fromtimestamp(at, UTC), months)


def _seconds(interval: str, count: int) -> int:
    return {"day": DAY_S, "week": 7 * DAY_S}.get(interval, 0) * count


def _months(interval: str, count: int) -> int:
    return {"month": 1, "year": 12}[interval] * count


def _plus_months(moment: datetime, months: int) -> int:
    month = moment.month - 1 + months
    year, month = moment.year + month // 12, month % 12 + 1
    last = calendar.monthrange(year, month)[1]
    return int(moment.replace(year=year, month=month, day=min(moment.day, last)).timestamp())
