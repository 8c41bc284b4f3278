"""The check API as OpenAPI. Decoder and renderer of ratelimiter.engine.wire are the truth; this describes them."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from ratelimiter.engine.decision import Reason
from ratelimiter.engine.rules import MAX_UNITS, MAX_WINDOW_MS, MIN_WINDOW_MS, Algorithm
from ratelimiter.engine.wire.decode import MAX_ATTRIBUTES, MAX_DIMENSION_BYTES, MAX_INLINE_LIMITS, MAX_KEY
from ratelimiter.engine.wire.render import JSON, PROBLEM, QUOTA_EXCEEDED

_NAME = {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}
_TEXT = {"type": "string", "maxLength": MAX_DIMENSION_BYTES}
_OR_NULL = {"nullable": True}  # the same as nothing
_COUNT = {"type": "integer", "nullable": True}
_MS = {"type": "integer", "nullable": True, "description": "Milliseconds from now; null where waiting does not help."}

_INLINE_LIMIT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "limit", "window_ms"],
    "properties": {
        "name": _NAME,
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_UNITS},
        "window_ms": {"type": "integer", "minimum": MIN_WINDOW_MS, "maximum": MAX_WINDOW_MS},
        "key": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": MAX_KEY,
            "description": "What gets a counter each: ip, route, user, attributes.<name>.",
        },
        "algorithm": {"type": "string", "enum": [value.value for value in Algorithm], "default": "sliding_window"},
        "burst": {"type": "integer", "minimum": 0, "maximum": MAX_UNITS, "default": 0},
    },
}
_CHECK: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "ip": {**_TEXT, **_OR_NULL, "description": "IPv4 or IPv6 address of the end user."},
        "route": {**_TEXT, **_OR_NULL, "description": "Method and path, such as “POST /v1/chat”."},
        "user": {**_TEXT, **_OR_NULL, "description": "Your id of the end user."},
        "attributes": {"type": "object", "additionalProperties": _TEXT, "maxProperties": MAX_ATTRIBUTES},
        "namespace": {**_NAME, "default": "default"},
        "cost": {"type": "integer", "minimum": 1, "maximum": MAX_UNITS, "default": 1},
        "mode": {
            "type": "string",
            "enum": ["consume", "peek", "report"],
            "default": "consume",
            "description": "peek answers without counting; report counts past the limit and always answers 200.",
        },
        "rules": {
            "type": "array",
            "items": _NAME,
            **_OR_NULL,
            "description": "Only these rules; default: all that match.",
        },
        "refundable": {
            "type": "boolean",
            "default": False,
            "description": "Keeps a record, so that the check can be refunded by its id.",
        },
        "limits": {
            "type": "array",
            "items": _INLINE_LIMIT,
            "maxItems": MAX_INLINE_LIMITS,
            "description": "Limits that the caller brings along; they are evaluated before the rules.",
        },
    },
}
_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["rule", "allowed", "mode", "limit", "remaining", "window_ms", "reset_ms", "retry_after_ms"],
    "properties": {
        "rule": _NAME,
        "allowed": {"type": "boolean"},
        "mode": {"type": "string", "enum": ["enforce", "shadow"]},
        "limit": {"type": "integer"},
        "remaining": {"type": "integer"},
        "window_ms": {"type": "integer"},
        "reset_ms": {"type": "integer"},
        "retry_after_ms": _MS,
    },
}
_DECISION: dict[str, Any] = {
    "id": {"type": "string"},
    "allowed": {"type": "boolean"},
    "reason": {"type": "string", "enum": [reason.value for reason in Reason]},
    "degraded": {"type": "boolean", "description": "The counters could not be reached; each rule's policy answered."},
    "policy": {"type": "string", "nullable": True, "description": "The binding rule; null when none matched."},
    "limit": _COUNT,
    "remaining": _COUNT,
    "reset_ms": _COUNT,
    "retry_after_ms": _MS,
    "results": {"type": "array", "items": _RESULT},
    "truncated": {"type": "boolean", "description": "More rules matched than are evaluated."},
}
_PROBLEM: dict[str, Any] = {
    "type": {"type": "string"},
    "title": {"type": "string"},
    "status": {"type": "integer"},
    "detail": {"type": "string"},
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {
        **_PROBLEM,
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_ALLOWED = {"type": "object", "properties": _DECISION}
_DENIED = {
    "type": "object",
    "properties": {**_PROBLEM, "violated-policies": {"type": "array", "items": {"type": "string"}}, **_DECISION},
}
_ERRORS = {
    400: "The request is not valid; `errors` names the fields.",
    401: "The API key is missing, malformed, unknown, revoked or expired.",
    402: "The plan's checks of this period are used up; nothing was counted.",
    403: "The API key lacks the scope, or the tenant is suspended.",
    404: "The namespace has no rules.",
    413: "The body is larger than 16 KiB.",
    422: "The Idempotency-Key belongs to another request.",
    503: "The service cannot judge right now.",
}
_NO_RECORD = "There is no such check on record: only some are, and none for longer than its windows or a day."
_EXPLANATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "decision": {"type": "object", "properties": _DECISION, "description": "What `mode: peek` would answer."},
        "explanation": {
            "type": "object",
            "properties": {
                "namespace": _NAME,
                "rules": {
                    "type": "array",
                    "description": "Every enabled rule of the namespace, in the order of evaluation.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "rule": _NAME,
                            "action": {"type": "string", "enum": ["limit", "allow", "deny"]},
                            "mode": {"type": "string", "enum": ["enforce", "shadow"]},
                            "matches": {"type": "boolean"},
                            "evaluated": {"type": "boolean"},
                            "why": {"type": "string"},
                            "key": {"type": "object", "nullable": True, "additionalProperties": {"type": "string"}},
                            "override": {"type": "array", "nullable": True, "items": {"type": "string"}},
                        },
                    },
                },
            },
        },
    },
}


def _given_back(member: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"id": {"type": "string"}, member: {"type": "integer"}}}


def _errors(*statuses: int, missing: str = _ERRORS[404]) -> dict[Any, Any]:
    """`missing` is what is not there when the answer is 404."""
    texts = {status: _ERRORS[status] for status in statuses} | {404: missing}
    return {(status, PROBLEM): OpenApiResponse(_ERROR, description=text) for status, text in texts.items()}


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 255 visible ASCII characters. A repeat within 24 hours gets the first answer and counts nothing.",
)
CHECK_REQUEST = {JSON: _CHECK}
CHECK_RESPONSES: dict[Any, Any] = {
    (200, JSON): OpenApiResponse(_ALLOWED, description="It may pass. `RL-Decision: allow`."),
    (429, PROBLEM): OpenApiResponse(
        _DENIED, description="It may not. `RL-Decision: deny`, and Retry-After where waiting helps."
    ),
} | _errors(*_ERRORS)
EXPLAIN_RESPONSES: dict[Any, Any] = {
    (200, JSON): OpenApiResponse(_EXPLANATION, description="What the check would meet. `RL-Decision: none`."),
} | _errors(400, 401, 403, 413, 503)
REFUND_REQUEST = {
    JSON: {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "amount": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_UNITS,
                **_OR_NULL,
                "description": "Default: all it took.",
            }
        },
    }
}
REFUND_RESPONSES: dict[Any, Any] = {
    (200, JSON): OpenApiResponse(_given_back("refunded"), description="How much was given back, also by a repeat."),
} | _errors(400, 401, 403, 413, 503, missing=_NO_RECORD)
RELEASE_RESPONSES: dict[Any, Any] = {
    (200, JSON): OpenApiResponse(_given_back("released"), description="How much was freed, also by a repeat."),
} | _errors(400, 401, 403, 503, missing=_NO_RECORD)

_EXAMPLE_RESULT = {
    "rule": "chat-per-user",
    "mode": "enforce",
    "limit": 5,
    "window_ms": 10_000,
}
_EXAMPLE_DENIAL = {"remaining": 0, "reset_ms": 7_416, "retry_after_ms": 7_416}
_EXAMPLE_ADMISSION = {"remaining": 4, "reset_ms": 8_820, "retry_after_ms": 0}
EXAMPLES = [
    OpenApiExample(
        "A user asks for a chat completion",
        value={"ip": "203.0.113.7", "route": "POST /v1/chat", "user": "u_42", "attributes": {"plan": "pro"}},
        request_only=True,
        media_type=JSON,
    ),
    OpenApiExample(
        "Allowed",
        value={
            "id": "chk_5f1d2c3b4a59687700000001",
            "allowed": True,
            "reason": "ok",
            "degraded": False,
            "policy": "chat-per-user",
            "limit": 5,
            **_EXAMPLE_ADMISSION,
            "results": [{**_EXAMPLE_RESULT, "allowed": True, **_EXAMPLE_ADMISSION}],
        },
        response_only=True,
        status_codes=["200"],
        media_type=JSON,
    ),
    OpenApiExample(
        "Denied",
        value={
            "type": QUOTA_EXCEEDED,
            "title": "Request cannot be satisfied as assigned quota has been exceeded",
            "status": 429,
            "detail": "Rule chat-per-user allows 5 and has 0 left; try again in 7416 ms.",
            "violated-policies": ["chat-per-user"],
            "id": "chk_5f1d2c3b4a59687700000002",
            "allowed": False,
            "reason": "limit_exceeded",
            "degraded": False,
            "policy": "chat-per-user",
            "limit": 5,
            **_EXAMPLE_DENIAL,
            "results": [{**_EXAMPLE_RESULT, "allowed": False, **_EXAMPLE_DENIAL}],
        },
        response_only=True,
        status_codes=["429"],
        media_type=PROBLEM,
    ),
    OpenApiExample(
        "A field is wrong",
        value={
            "type": "about:blank",
            "title": "The request is not valid",
            "status": 400,
            "code": "invalid_request",
            "detail": "/cost: expected `int` >= 1",
            "errors": [{"pointer": "/cost", "message": "expected `int` >= 1"}],
        },
        response_only=True,
        status_codes=["400"],
        media_type=PROBLEM,
    ),
]
