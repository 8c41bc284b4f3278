"""The analytics API as OpenAPI. apps.analytics.api.render is the truth; this describes it."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from apps.analytics.breakdowns import DIMENSIONS
from apps.analytics.events import OUTCOMES
from apps.analytics.ranges import DEFAULT_PRESET, PRESETS, Comparison, Step
from apps.core.openapi import answers

_INTEGER = {"type": "integer"}
_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}
_MICROSECONDS = {"type": "integer", "nullable": True, "description": "µs, interpolated; null without checks."}


def _parameter(name: str, description: str, **schema: Any) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string"} | schema, description=description)


RANGE = [
    _parameter("range", "Up to now.", enum=list(PRESETS), default=DEFAULT_PRESET),
    _parameter("since", "ISO 8601, instead of `range`; in `zone` where it names no offset."),
    _parameter("until", "ISO 8601; default: now."),
    _parameter("zone", "IANA time zone, for days and for times without offset; default: the tenant's."),
]
NAMESPACE = _parameter("namespace", "Only this namespace.")
RULE = _parameter("rule", "Only this rule, by its id.", type="integer")
SERIES = [
    *RANGE, NAMESPACE, RULE,
    _parameter("step", "Default: what makes a few hundred points.", enum=[step.value for step in Step]),
    _parameter("compare", "The same for another time, under `compared`.", enum=[one.value for one in Comparison]),
]  # fmt: skip
BREAKDOWN = [
    *RANGE, _parameter("by", "The dimension.", enum=list(DIMENSIONS), default="rule"),
    _parameter("limit", "Rows.", type="integer", minimum=1, maximum=200, default=10),
]  # fmt: skip
TOP = [*RANGE, RULE, _parameter("limit", "Rows.", type="integer", minimum=1, maximum=100, default=10)]
EVENTS = [
    *RANGE, NAMESPACE, RULE, _parameter("outcome", "Only these.", enum=list(OUTCOMES)),
    _parameter("key", "Only checks with this API key, by its id.", type="integer"),
    _parameter("check_id", "The check of this id."), _parameter("route", "The whole route, as it was sent."),
    _parameter("user", "The user, as sent."), _parameter("ip", "The address, as sent."),
    _parameter("cursor", "`next` of the page before."),
    _parameter("limit", "Checks a page.", type="integer", minimum=1, maximum=1_000, default=100),
]  # fmt: skip


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


_COUNTS = {
    "checks": _INTEGER, "allowed": _INTEGER, "denied": _INTEGER,
    "shadow_denied": {"type": "integer", "description": "Of the allowed: a rule in shadow would have denied them."},
    "degraded": _INTEGER, "billable": _INTEGER, "cost": _INTEGER,
    "p50_us": _MICROSECONDS, "p95_us": _MICROSECONDS, "p99_us": _MICROSECONDS,
}  # fmt: skip
_SPAN = {
    "since": _MOMENT, "until": _MOMENT, "zone": _TEXT,
    "capped": {"type": "boolean", "description": "The plan hides the beginning of what was asked for."},
}  # fmt: skip
_TOTALS = _object(**_COUNTS)
_POINTS = _list(_object(at=_MOMENT, **_COUNTS))
_ROW = {"key": _TEXT, "label": _TEXT, "checks": _INTEGER, "allowed": _INTEGER, "denied": _INTEGER,
        "shadow_denied": {"type": "integer", "nullable": True, "description": "Of rules; null of everything else."},
        "cost": _INTEGER}  # fmt: skip
_NULLABLE_TEXT = {"type": "string", "nullable": True}
_EVENT = _object(
    id=_TEXT, at=_MOMENT, outcome={"type": "string", "enum": list(OUTCOMES)}, allowed={"type": "boolean"},
    degraded={"type": "boolean"}, reason=_TEXT, mode=_TEXT, cost=_INTEGER, latency_us=_INTEGER, namespace=_TEXT,
    live={"type": "boolean"}, key_id=_INTEGER, route=_NULLABLE_TEXT, user=_NULLABLE_TEXT, ip=_NULLABLE_TEXT,
    attributes={"type": "object", "additionalProperties": _TEXT},
    weight={"type": "integer", "description": "How many checks it stands for; more than 1 where they are sampled."},
    results=_list(_object(rule_id=_INTEGER, rule=_NULLABLE_TEXT, outcome=_TEXT)),
)  # fmt: skip
_MARKER = _object(at=_MOMENT, kind={"type": "string", "enum": ["deploy", "rule"]}, text=_TEXT)
MARKER_REQUEST = {
    "application/json": {
        "type": "object", "required": ["text"], "additionalProperties": False,
        "properties": {"text": {"type": "string", "maxLength": 80}, "at": _MOMENT | {"nullable": True}},
    }
}  # fmt: skip

SERIES_ANSWERS = answers(
    _object(**_SPAN, step=_TEXT, totals=_TOTALS, points=_POINTS)
    | {"description": "`compared` has since, until, step, totals and points, if it was asked for."}
)
BREAKDOWN_ANSWERS = answers(
    _object(
        **_SPAN, by=_TEXT, rows=_list(_object(**_ROW)), rest={**_object(**_ROW), "nullable": True},
        sampled={"type": "boolean", "description": "Of the newest checks only the latest 20,000 are in it."},
    )
)  # fmt: skip
TOP_ANSWERS = answers(
    _object(
        **_SPAN, offenders=_list(_object(dimension=_TEXT, label=_TEXT, denied=_INTEGER, shadow_denied=_INTEGER)),
    )
)  # fmt: skip
EVENTS_ANSWERS = answers(_object(**_SPAN, events=_list(_EVENT), next=_NULLABLE_TEXT))
MARKERS_ANSWERS = answers(_object(**_SPAN, markers=_list(_MARKER)))
MARKER_ANSWERS = answers(_MARKER, status=201)
