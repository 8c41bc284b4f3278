"""What selectors return, as the JSON of the API: times in ISO 8601 with offset, durations in µs, no missing members."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from apps.analytics.breakdowns import Breakdown, Offender, Row
from apps.analytics.events import EventInfo
from apps.analytics.ranges import Range
from apps.analytics.selectors import MarkerInfo, Point, Totals


def span_json(span: Range) -> dict[str, Any]:
    return {
        "since": moment(span.since, span), "until": moment(span.until, span), "zone": span.zone.key,
        "capped": span.is_capped,
    }  # fmt: skip


def series_json(points: Iterable[Point], totals: Totals, span: Range) -> dict[str, Any]:
    return {
        "totals": totals_json(totals),
        "points": [{"at": moment(point.at, span), **totals_json(point.totals)} for point in points],
    }


def totals_json(totals: Totals) -> dict[str, Any]:
    return {
        "checks": totals.checks, "allowed": totals.allowed, "denied": totals.denied,
        "shadow_denied": totals.shadow_denied, "degraded": totals.degraded, "billable": totals.billable,
        "cost": totals.cost, "p50_us": _whole(totals.p50_us), "p95_us": _whole(totals.p95_us),
        "p99_us": _whole(totals.p99_us),
    }  # fmt: skip


def breakdown_json(held: Breakdown) -> dict[str, Any]:
    return {
        "by": held.by,
        "rows": [_row(row) for row in held.rows],
        "rest": None if held.rest is None else _row(held.rest),
        "sampled": held.is_sampled,
    }


def offender_json(one: Offender) -> dict[str, Any]:
    return {
        "dimension": one.dimension, "label": one.label, "denied": one.denied, "shadow_denied": one.shadow_denied,
    }  # fmt: skip


def event_json(event: EventInfo, span: Range, rules: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": event.id, "at": moment(event.at, span), "outcome": event.outcome, "allowed": event.allowed,
        "degraded": event.degraded, "reason": event.reason, "mode": event.mode, "cost": event.cost,
        "latency_us": event.latency_us, "namespace": event.namespace, "live": event.live, "key_id": event.key_id,
        "route": event.route, "user": event.user, "ip": event.ip, "attributes": event.attributes,
        "weight": event.weight,
        "results": [
            {"rule_id": said.rule_id, "rule": rules.get(said.rule_id), "outcome": said.outcome}
            for said in event.results
        ],
    }  # fmt: skip


def marker_json(marker: MarkerInfo, span: Range | None = None) -> dict[str, Any]:
    at = marker.at.isoformat() if span is None else moment(marker.at, span)
    return {"at": at, "kind": marker.kind, "text": marker.text}


def moment(at: datetime, span: Range) -> str:
    return at.astimezone(span.zone).isoformat()


def _row(row: Row) -> dict[str, Any]:
    return {
        "key": row.key, "label": row.label, "checks": row.checks, "allowed": row.allowed, "denied": row.denied,
        "shadow_denied": row.shadow_denied, "cost": row.cost,
    }  # fmt: skip


def _whole(us: float | None) -> int | None:
    return None if us is None else round(us)
