"""Quiet hours: a span of the day in the tenant's zone, over midnight too."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


def quiet_end(*, quiet_from: int | None, quiet_until: int | None, zone: str, now: datetime) -> datetime | None:
    """When the quiet that holds `now` ends; None when it is not quiet. Arguments are minutes after midnight.

    On a day with a clock change the span is as long as its clock times say.
    """
    if quiet_from is None or quiet_until is None:
        return None
    local = now.astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    is_over_midnight = quiet_from > quiet_until
    inside = minute >= quiet_from or minute < quiet_until if is_over_midnight else quiet_from <= minute < quiet_until
    if not inside:
        return None
    day = local.date() + timedelta(days=1 if is_over_midnight and minute >= quiet_from else 0)
    end = datetime(day.year, day.month, day.day, quiet_until // 60, quiet_until % 60, tzinfo=ZoneInfo(zone))
    return end if end > now else now + timedelta(minutes=1)
