"""Sums over time, inside the tenant's scope, whose views show nobody else's rows. What leaves this room is frozen.

Who is behind the numbers (routes, keys, people) is in `breakdowns`, single checks in `events`, the quota in `burn`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, DateTimeField, F, Func, Manager, Q, QuerySet, Sum, Value
from django.db.models.functions import TruncDay

from apps.analytics.histogram import percentile_us
from apps.analytics.models import (
    CheckDay,
    CheckHour,
    CheckMinute,
    Marker,
    Preference,
    RuleDay,
    RuleHour,
    RuleMinute,
)
from apps.analytics.ranges import MINUTE, Range, Step
from apps.analytics.rollups import LATENCY_BUCKETS
from apps.limits.selectors import RuleInfo

_CHECKS: dict[str, Manager[Any]] = {"minute": CheckMinute.objects, "hour": CheckHour.objects, "day": CheckDay.objects}
_RULES: dict[str, Manager[Any]] = {"minute": RuleMinute.objects, "hour": RuleHour.objects, "day": RuleDay.objects}
MOST_MARKERS = 50

_CHECK_SUMS = {name: Sum(name) for name in ("allowed", "denied", "shadow_denied", "degraded", "billable", "cost")}
_RULE_SUMS = {name: Sum(name) for name in ("allowed", "denied", "shadow_denied", "cost")}
# One column instead of 32, each of which Django would convert by itself.
_LATENCY_SUMS = {
    "buckets": Func(
        *(Sum(f"latency__{place}") for place in range(LATENCY_BUCKETS)),
        template="ARRAY[%(expressions)s]::bigint[]", output_field=ArrayField(BigIntegerField()),
    )
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Totals:
    """Checks of a stretch of time; `shadow_denied` are allowed ones that a rule in shadow would have denied."""

    allowed: int = 0
    denied: int = 0
    shadow_denied: int = 0
    degraded: int = 0
    billable: int = 0
    cost: int = 0
    latency: tuple[int, ...] = ()

    @property
    def checks(self) -> int:
        return self.allowed + self.denied

    @property
    def block_rate(self) -> float:
        return self.denied / self.checks if self.checks else 0.0

    @property
    def p50_us(self) -> float | None:
        return percentile_us(self.latency, 50)

    @property
    def p95_us(self) -> float | None:
        return percentile_us(self.latency, 95)

    @property
    def p99_us(self) -> float | None:
        return percentile_us(self.latency, 99)


@dataclass(frozen=True, slots=True)
class Point:
    """What was counted in the step that begins `at`."""

    at: datetime
    totals: Totals


@dataclass(frozen=True, slots=True)
class MarkerInfo:
    at: datetime
    kind: str
    text: str


def series(span: Range, *, namespace: str | None = None, live: bool | None = None) -> list[Point]:
    """Every step of the range, also those without a check."""
    rows = check_rows(span)
    if namespace is not None:
        rows = rows.filter(namespace=namespace)
    if live is not None:
        rows = rows.filter(live=live)
    return _points(span, _by_step(rows, span).annotate(**_CHECK_SUMS, **_LATENCY_SUMS))


def series_compared(
    span: Range, before: Range | None, *, namespace: str | None = None, rule_id: int | None = None
) -> tuple[list[Point], list[Point]]:
    """The series of both, of all checks or of one rule; in one question where no step lies in both."""
    if before is None:
        return (series(span, namespace=namespace) if rule_id is None else rule_series(span, rule_id=rule_id)), []
    if before.grain != span.grain or before.until > span.bucket_of(span.since):
        first, _ = series_compared(span, None, namespace=namespace, rule_id=rule_id)
        second, _ = series_compared(before, None, namespace=namespace, rule_id=rule_id)
        return first, second
    both = (check_rows if rule_id is None else rule_rows)(span, before)
    if rule_id is not None:
        both = both.filter(rule_id=rule_id)
    elif namespace is not None:
        both = both.filter(namespace=namespace)
    sums = _RULE_SUMS if rule_id is not None else _CHECK_SUMS | _LATENCY_SUMS
    rows = list(_by_step(both, span).annotate(**sums))
    later = [row for row in rows if row["bucket"] >= span.bucket_of(span.since)]
    earlier = [row for row in rows if row["bucket"] < span.bucket_of(span.since)]
    return _points(span, later), _points(before, earlier)


def rule_series(span: Range, *, rule_id: int) -> list[Point]:
    """What one rule said, step by step; of a rule neither degraded, billable nor latency is known."""
    rows = rule_rows(span).filter(rule_id=rule_id)
    return _points(span, _by_step(rows, span).annotate(**_RULE_SUMS))


def rules_series(span: Range) -> dict[int, list[Point]]:
    """Of every rule that met a check in the range, each step."""
    rows = rule_rows(span).annotate(bucket=_bucket(span)).values("rule_id", "bucket").annotate(**_RULE_SUMS).order_by()
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["rule_id"], []).append(row)
    return {rule_id: _points(span, held) for rule_id, held in found.items()}


def totals(span: Range, *, namespace: str | None = None) -> Totals:
    rows = check_rows(span)
    if namespace is not None:
        rows = rows.filter(namespace=namespace)
    return _totals(rows.aggregate(**_CHECK_SUMS, **_LATENCY_SUMS))


def rule_totals(span: Range, *, rule_id: int) -> Totals:
    return _totals(rule_rows(span).filter(rule_id=rule_id).aggregate(**_RULE_SUMS))


def totals_of(points: Iterable[Point]) -> Totals:
    """Of a series that is at hand, without asking again."""
    held = [point.totals for point in points]
    latencies = [one.latency for one in held if one.latency]
    return Totals(
        **{name: sum(getattr(one, name) for one in held) for name in _CHECK_SUMS},
        latency=tuple(map(sum, zip(*latencies, strict=True))),
    )


def rate_now(points: Sequence[Point], *, now: datetime) -> float:
    """Checks a second over the last 60 seconds, from a series in steps of a minute that ends now: this minute's and as
    much of the one before as belongs to them.
    """
    this_minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    counted = {point.at: point.totals.checks for point in points}
    gone = (now - this_minute) / MINUTE
    return (counted.get(this_minute, 0) + counted.get(this_minute - MINUTE, 0) * (1 - gone)) / 60


def markers(span: Range, *, rules: Iterable[RuleInfo] = ()) -> list[MarkerInfo]:
    """What happened in the range, the latest MOST_MARKERS, in order. Of a rule's changes only the last is known; rules
    that were changed in one minute make one marker.
    """
    rows = Marker.objects.filter(at__gte=span.since, at__lt=span.until).order_by("-at", "-id")[:MOST_MARKERS]
    found = [MarkerInfo(row.at, row.kind, row.text) for row in rows]
    by_minute: dict[datetime, list[RuleInfo]] = {}
    for rule in rules:
        if span.since <= rule.updated_at < span.until:
            by_minute.setdefault(rule.updated_at.replace(second=0, microsecond=0), []).append(rule)
    for together in by_minute.values():
        is_new = all(rule.updated_at - rule.created_at < timedelta(seconds=1) for rule in together)
        who = together[0].name if len(together) == 1 else f"{len(together)} rules"
        found.append(MarkerInfo(together[0].updated_at, "rule", f"{who} {'written' if is_new else 'changed'}"))
    return sorted(found, key=lambda marker: marker.at)[-MOST_MARKERS:]


def is_pseudonymised(tenant_id: int) -> bool:
    return Preference.objects.filter(tenant_id=tenant_id, pseudonymise=True).exists()


def check_rows(span: Range, also: Range | None = None) -> QuerySet[Any]:
    """The rollups that a range is read from, or two ranges of the same grain."""
    return _CHECKS[span.grain].filter(_within(span, also))


def rule_rows(span: Range, also: Range | None = None) -> QuerySet[Any]:
    return _RULES[span.grain].filter(_within(span, also))


def _within(span: Range, also: Range | None) -> Q:
    first = Q(at__gte=span.since, at__lt=span.until)
    return first if also is None else first | Q(at__gte=also.since, at__lt=also.until)


def _by_step(rows: QuerySet[Any], span: Range) -> QuerySet[Any, Any]:
    stepped: QuerySet[Any, Any] = rows.annotate(bucket=_bucket(span)).values("bucket").order_by("bucket")
    return stepped


def _bucket(span: Range) -> Func:
    if span.step is Step.DAY:
        return TruncDay("at", tzinfo=span.zone)
    return Func(Value(span.step.length), F("at"), Value(_EPOCH), function="date_bin", output_field=DateTimeField())


def _points(span: Range, rows: Iterable[dict[str, Any]]) -> list[Point]:
    found = {row["bucket"].astimezone(UTC): _totals(row) for row in rows}
    return [Point(at, found.get(at) or Totals()) for at in span.buckets()]


def _totals(row: dict[str, Any]) -> Totals:
    """Rule rollups keep denials in shadow apart; here they are among the allowed, as those of checks are."""
    sums = {name: int(row.get(name) or 0) for name in _CHECK_SUMS}
    if "degraded" not in row:
        sums["allowed"] += sums["shadow_denied"]
    buckets = row.get("buckets")
    return Totals(**sums, latency=tuple(buckets) if buckets and buckets[0] is not None else ())
