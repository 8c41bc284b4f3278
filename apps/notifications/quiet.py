"""Quiet hours: a span of the day in the tenant's zone, over midnight too."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apps.core.errors import Invalid

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def quiet_span(begins: str, ends: str) -> tuple[int | None, int | None]:
    """Minutes after midnight of two times such as “22:00”, or None twice for two empty ones. Raises Invalid."""
    if not begins and not ends:
        return None, None
    found = [_CLOCK.fullmatch(text) for text in (begins, ends)]
    if not all(found) or begins == ends:
        text = "Quiet hours need a beginning and another end, such as 22:00 and 07:00."
        raise Invalid(text, fields={"quiet_until": text})
    first, last = (int(one[1]) * 60 + int(one[2]) for one in found if one)
    return first, last


def clock_words(minutes: int | None) -> str:
    return "" if minutes is None else f"{minutes // 60:02d}:{minutes % 60:02d}"


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
