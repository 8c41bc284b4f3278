"""What a chart draws, as JSON for static/js/chart.js, and the same as rows for those who read it as a table.

Times are Unix seconds; the browser writes them in the zone that the range has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.analytics.ranges import Range, Step
from apps.analytics.selectors import MarkerInfo, Point, Totals, totals_of

SPARK_HEIGHT = 10
STEP_WORDS = {
    Step.MINUTE: "a minute", Step.MINUTES_5: "per 5 minutes", Step.MINUTES_15: "per 15 minutes", Step.HOUR: "an hour",
    Step.DAY: "a day",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chart:
    """`per` is how long a step is, in words. `rows` are the points, latest first."""

    data: dict[str, Any]
    per: str
    rows: tuple[Point, ...]
    markers: tuple[MarkerInfo, ...]
    is_empty: bool
    is_by_day: bool


def chart(
    span: Range,
    points: Sequence[Point],
    *,
    before_span: Range | None = None,
    before: Sequence[Point] = (),
    markers: Iterable[MarkerInfo] = (),
) -> Chart:
    """`before` is laid under it, moment by moment from the beginning; of longer steps each has its part."""
    totals = [point.totals for point in points]
    data: dict[str, Any] = {
        "zone": span.zone.key,
        "per": STEP_WORDS[span.step],
        "step": round(span.step.length.total_seconds()),
        "x": [_seconds(point.at) for point in points],
        "allowed": [one.allowed - one.shadow_denied for one in totals],
        "shadow": [one.shadow_denied for one in totals],
        "denied": [one.denied for one in totals],
        "degraded": [one.degraded for one in totals],
        "markers": [{"at": _seconds(marker.at), "kind": marker.kind, "text": marker.text} for marker in markers],
    }
    if any(one.latency for one in totals):
        for name in ("p50", "p95", "p99"):
            data[name] = [_ms(getattr(one, f"{name}_us")) for one in totals]
    if before_span is not None:
        data["before"] = _under(span, points, before_span, before)
    is_empty = not any(one.checks for one in totals)
    return Chart(data, STEP_WORDS[span.step], tuple(reversed(points)), tuple(markers), is_empty, span.step is Step.DAY)


@dataclass(frozen=True, slots=True)
class Bar:
    """In a drawing that is SPARK_HEIGHT high, a unit a bar wide; `top` and `height` are of all, `denied` of those."""

    at: int
    top: str
    height: str
    denied: str


@dataclass(frozen=True, slots=True)
class Spark:
    """The last hour of a rule, small."""

    bars: tuple[Bar, ...]
    totals: Totals

    @property
    def width(self) -> int:
        return len(self.bars)


def spark(points: Sequence[Point]) -> Spark:
    most = max((point.totals.checks for point in points), default=0) or 1
    bars = []
    for at, point in enumerate(points):
        height, denied = (SPARK_HEIGHT * count / most for count in (point.totals.checks, point.totals.denied))
        bars.append(Bar(at, f"{SPARK_HEIGHT - height:.2f}", f"{height:.2f}", f"{denied:.2f}"))
    return Spark(tuple(bars), totals_of(points))


def _under(span: Range, points: Sequence[Point], before_span: Range, before: Sequence[Point]) -> list[float | None]:
    """Checks of the step of `before` that is as far from its beginning as each of the points is from theirs."""
    checks = {point.at: point.totals.checks for point in before}
    part = span.step.length / before_span.step.length
    shift = span.bucket_of(span.since) - before_span.bucket_of(before_span.since)
    found: list[float | None] = []
    for point in points:
        at = before_span.bucket_of(point.at - shift)
        found.append(round(checks[at] * part, 1) if at in checks else None)
    return found


def _seconds(moment: datetime) -> int:
    return round(moment.timestamp())


def _ms(us: float | None) -> float | None:
    return None if us is None else round(us / 1_000, 3)
