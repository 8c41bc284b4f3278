"""What stretch of time somebody looks at, in which steps, and from which of the three rollups it is read.

Rollups are UTC. A local day is the sum of the hours that begin in it, so in zones that are off by half or three
quarters of an hour it is off by as much; `Range.is_shifted` says so. A plan caps how far back one may look.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from apps.analytics.tables import TABLE
from apps.core.errors import Invalid

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PRESETS = {
    "1h": HOUR, "6h": 6 * HOUR, "24h": DAY, "3d": 3 * DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY,
    "1y": 365 * DAY,
}  # fmt: skip
PRESET_WORDS = {
    "1h": "Last hour", "6h": "Last 6 hours", "24h": "Last 24 hours", "3d": "Last 3 days", "7d": "Last 7 days",
    "30d": "Last 30 days", "90d": "Last 90 days", "1y": "Last year",
}  # fmt: skip
DEFAULT_PRESET = "24h"
LONGEST = 366 * DAY


class Step(StrEnum):
    MINUTE = "1m"
    MINUTES_5 = "5m"
    MINUTES_15 = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]


_LENGTHS = {
    Step.MINUTE: MINUTE, Step.MINUTES_5: 5 * MINUTE, Step.MINUTES_15: 15 * MINUTE, Step.HOUR: HOUR, Step.DAY: DAY,
}  # fmt: skip


class Comparison(StrEnum):
    NONE = "none"
    BEFORE = "before"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Range:
    """[since, until), both UTC. `earliest` is how far back the plan lets look, `asked_since` what was asked for."""

    since: datetime
    until: datetime
    step: Step
    zone: ZoneInfo
    earliest: datetime
    minutes_since: datetime
    asked_since: datetime

    @property
    def is_capped(self) -> bool:
        return self.asked_since < self.earliest

    @property
    def grain(self) -> str:
        """The rollup to read."""
        if self.step.length < HOUR and self.since >= self.minutes_since:
            return "minute"
        if self.step is Step.DAY and self.zone.key == "UTC" and self.since == _floor(self.since, DAY):
            return "day"
        return "hour"

    @property
    def is_shifted(self) -> bool:
        """Local days begin between two whole hours of UTC."""
        offset = self.since.astimezone(self.zone).utcoffset() or timedelta(0)
        return self.step is Step.DAY and offset % HOUR != timedelta(0)

    def bucket_of(self, moment: datetime) -> datetime:
        """The beginning of the step that a moment is in, in UTC."""
        if self.step is not Step.DAY:
            return _floor(moment, self.step.length)
        return _local_midnight(moment, self.zone)

    def buckets(self) -> list[datetime]:
        """The beginnings of all steps, in order; the first may be before `since` where that is within a day."""
        found = []
        at, length = self.bucket_of(self.since), self.step.length
        while at < self.until:
            found.append(at)
            # A local day may have 23 or 25 hours.
            at = self.bucket_of(at + length + 2 * HOUR) if self.step is Step.DAY else at + length
        return found


def range_preset(*, preset: str, now: datetime, retention_days: int, zone: ZoneInfo) -> Range:
    """Up to now. Raises Invalid."""
    if preset not in PRESETS:
        raise Invalid(f"“{preset}” is no range.", fields={"range": f"Use one of {', '.join(PRESETS)}."})
    return _range(now - PRESETS[preset], now, now, retention_days, zone)


def range_between(*, since: datetime, until: datetime, now: datetime, retention_days: int, zone: ZoneInfo) -> Range:
    """What is in the future is left out. Raises Invalid."""
    if until <= since:
        raise Invalid("The range is empty.", fields={"until": "Must be later than its beginning."})
    if until - since > LONGEST:
        raise Invalid("The range is too long.", fields={"since": "A range holds a year at most."})
    if until <= now - timedelta(days=retention_days):
        text = f"Your plan shows the last {retention_days} days."
        raise Invalid(text, fields={"until": text})
    if since >= now:
        raise Invalid("The range has not begun.", fields={"since": "Must be in the past."})
    return _range(since, min(until, now), now, retention_days, zone)


def range_stepped(held: Range, step: Step) -> Range:
    """The same stretch in other steps. Raises Invalid where that would be too many, or finer than what is kept."""
    if step.length < HOUR and held.since < held.minutes_since:
        raise Invalid("The step is too fine.", fields={"step": "Minutes are kept for three days; use 1h or 1d."})
    if (held.until - held.since) / step.length > 1_500:
        raise Invalid("The step is too fine.", fields={"step": "That would be more than 1,500 points."})
    return replace(held, step=step)


def range_compared(held: Range, comparison: Comparison) -> Range | None:
    """What `held` is compared with: as long, right before it, or as many whole weeks earlier as it takes to be before.
    None where there is nothing to show.
    """
    if comparison is Comparison.NONE:
        return None
    length = held.until - held.since
    weeks = max(1, -(-(length - DAY) // (7 * DAY)))
    shift = length if comparison is Comparison.BEFORE else weeks * 7 * DAY
    since, until, step = held.since - shift, held.until - shift, held.step
    if held.grain == "minute" and since < held.minutes_since:
        # No minutes are kept of then: whole hours, as many.
        since, until, step = _floor(since, HOUR), _floor(since, HOUR) + (until - since), Step.HOUR
    if since < held.earliest:
        return None
    return replace(held, since=since, until=until, step=step, asked_since=since)


def _range(since: datetime, until: datetime, now: datetime, retention_days: int, zone: ZoneInfo) -> Range:
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    earliest = _floor(now.astimezone(UTC) - timedelta(days=retention_days), HOUR)
    minutes_since = now.astimezone(UTC) - TABLE["check_minute"].keep
    step = _step(since, until, minutes_since)
    begin = _floor(since, step.length) if step is not Step.DAY else _local_midnight(since, zone)
    if step.length < HOUR:
        begin = max(begin, _floor(minutes_since, MINUTE) + MINUTE)
    return Range(max(begin, earliest), until, step, zone, earliest, minutes_since, since)


def _step(since: datetime, until: datetime, minutes_since: datetime) -> Step:
    """A few hundred points, whatever the range."""
    length = until - since
    if since >= minutes_since - MINUTE:
        for most, step in ((6 * HOUR, Step.MINUTE), (30 * HOUR, Step.MINUTES_5), (3 * DAY, Step.MINUTES_15)):
            if length <= most:
                return step
    return Step.HOUR if length <= 14 * DAY else Step.DAY


def _floor(moment: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return moment - (moment - epoch) % step


def _local_midnight(moment: datetime, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
