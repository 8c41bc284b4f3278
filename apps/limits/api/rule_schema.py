"""Rules and overrides as OpenAPI. apps.limits.rules_json is the truth; this describes it."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from apps.core.openapi import closed, shape
from apps.core.paging import page_schema
from apps.limits.models import MAX_BREACHES, MAX_KEY, MAX_PRIORITY
from apps.limits.overrides import MAX_NOTE
from ratelimiter.engine.rules import MAX_UNITS, Action, Algorithm, CalendarUnit, FailurePolicy, RuleMode, RuleType

_NAME = {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}
_SPAN = {"type": "string", "pattern": "^[0-9]{1,9}[smhd]$", "description": "10s, 5m, 1h or 1d."}
_TEXT = {"type": "string"}
_TEXTS = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_MOMENT = {"type": "string", "format": "date-time"}
_UNITS = {"type": "integer", "minimum": 0, "maximum": MAX_UNITS}


def _one_of(values: Any) -> dict[str, Any]:
    return {"type": "string", "enum": [value.value for value in values]}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"nullable": True}


_MATCH = closed(shape(
    (), route=_TEXTS, routes=_TEXTS, ip=_TEXTS, ips=_TEXTS, user=_TEXTS, users=_TEXTS,
    attributes={
        "type": "object", "additionalProperties": True,
        "description": "By name: a value, a list, or one of equals, in and prefix.",
    },
))  # fmt: skip
_KEY = {
    "type": "array", "items": _TEXT, "minItems": 1, "maxItems": MAX_KEY,
    "description": "For type custom only: ip, route, user, attributes.<name>.",
}  # fmt: skip
_CALENDAR = closed(shape(
    ("unit",), unit=_one_of(CalendarUnit), zone={"type": "string", "description": "IANA; default UTC."},
    anchor={"type": "integer", "minimum": 1, "maximum": 31},
))  # fmt: skip
_ESCALATION = closed(
    shape(breaches={"type": "integer", "minimum": 1, "maximum": MAX_BREACHES}, within=_SPAN, block=_SPAN)
)
_FIELDS: dict[str, Any] = {
    "name": _NAME, "namespace": _NAME, "action": _one_of(Action), "type": _one_of(RuleType), "key": _nullable(_KEY),
    "match": _MATCH, "algorithm": _one_of(Algorithm),
    "limit": _nullable({"type": "integer", "minimum": 1, "maximum": MAX_UNITS}), "window": _nullable(_SPAN),
    "burst": _UNITS, "calendar": _nullable(_CALENDAR), "mode": _one_of(RuleMode), "on_failure": _one_of(FailurePolicy),
    "priority": {"type": "integer", "minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY}, "enabled": {"type": "boolean"},
    "ipv6_prefix": {"type": "integer", "minimum": 16, "maximum": 128}, "escalation": _nullable(_ESCALATION),
    "lease": _UNITS,
}  # fmt: skip
_ID = {"type": "integer", "readOnly": True}
_READ_MOMENT = _MOMENT | {"readOnly": True}
_READ_ONLY = {"created_at": _READ_MOMENT, "updated_at": _READ_MOMENT}
RULE = shape(id=_ID, **_FIELDS, **_READ_ONLY)
RULE_REQUEST = closed(shape(("name",), id=_ID, **_FIELDS, **_READ_ONLY))
RULE_PATCH = closed(shape((), id=_ID, **{name: _nullable(field) for name, field in _FIELDS.items()}, **_READ_ONLY))
RULES_PAGE = page_schema(RULE, "rules")

_OVERRIDE: dict[str, Any] = {
    "values": {"oneOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MAX_KEY}]},
    "limit": {"oneOf": [_UNITS, _TEXT], "description": "A number, `blocked` or `unlimited`."},
    "burst": _UNITS,
    "expires": {"type": "string", "nullable": True, "description": "A day, to its end in UTC, or ISO 8601."},
    "note": {"type": "string", "maxLength": MAX_NOTE},
}  # fmt: skip
OVERRIDE = shape(id=_ID, **_OVERRIDE, created_at=_READ_MOMENT)
OVERRIDE_REQUEST = closed(shape(("values", "limit"), id=_ID, **_OVERRIDE, created_at=_READ_MOMENT))
OVERRIDES_PAGE = page_schema(OVERRIDE, "overrides")

_OVERRIDES = {"type": "array", "items": OVERRIDE_REQUEST, "description": "All that the rule shall have."}
_RULE_WHOLE = closed(shape(("name",), id=_ID, **_FIELDS, overrides=_OVERRIDES, **_READ_ONLY))
RULES_REQUEST = closed(shape(rules={"type": "array", "items": _RULE_WHOLE}))
_RULE_TOLD = shape(id=_ID, **_FIELDS, overrides={"type": "array", "items": OVERRIDE}, **_READ_ONLY)
RULES_ALL = shape(rules={"type": "array", "items": _RULE_TOLD})
_NAMES = {"type": "array", "items": _TEXT, "description": "With the namespace before it where that is not default."}
APPLIED = shape(
    created=_NAMES, updated=_NAMES, deleted=_NAMES, unchanged=_NAMES, dry_run={"type": "boolean"},
    revision={"type": "integer"},
)  # fmt: skip
MODE_REQUEST = closed(shape(mode=_one_of(RuleMode)))
VALIDATED = shape(
    valid={"type": "boolean"},
    errors={"type": "array", "items": shape(pointer=_TEXT, message=_TEXT)},
)  # fmt: skip
DRY_RUN = OpenApiParameter(
    "dry_run", {"type": "boolean", "default": False}, description="Say what would be done, and do nothing."
)
PRUNE = OpenApiParameter(
    "prune", {"type": "boolean", "default": True}, description="Delete the rules that the list does not name."
)
RULE_EXAMPLE = {
    "name": "chat-per-user", "type": "user", "match": {"route": "POST /v1/chat"}, "limit": 100, "window": "1m",
}  # fmt: skip
OVERRIDE_EXAMPLE = {"values": "u_911", "limit": "blocked", "expires": "2030-12-31", "note": "Scraping, ticket 4411"}
RULES_EXAMPLE = {"rules": [RULE_EXAMPLE | {"overrides": [OVERRIDE_EXAMPLE]}]}
