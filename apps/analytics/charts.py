"""What a chart draws, as JSON for static/js/chart.js, and the same as rows for those who read it as a table.

Times are Unix seconds; the browser writes them in the zone that the range has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.analytics.ranges import Range, Step
from apps.analytics.selectors import MarkerInfo, Point

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
    span: Range, points: Sequence[Point], *, before: Sequence[Point] = (), markers: Iterable[MarkerInfo] = ()
) -> Chart:
    """`before` is laid under it, step by step from the beginning, however long it is."""
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
    if before:
        checks = [point.totals.checks for point in before][: len(points)]
        data["before"] = checks + [None] * (len(points) - len(checks))
    is_empty = not any(one.checks for one in totals)
    return Chart(data, STEP_WORDS[span.step], tuple(reversed(points)), tuple(markers), is_empty, span.step is Step.DAY)


def _seconds(moment: datetime) -> int:
    return round(moment.timestamp())


def _ms(us: float | None) -> float | None:
    return None if us is None else round(us / 1_000, 3)
