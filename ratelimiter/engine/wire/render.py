"""The answer side of the check API: bodies and headers for decisions and errors.

Both doors use it, and only it, because the RateLimit fields follow a draft that may still change
(draft-ietf-httpapi-ratelimit-headers-11).
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from ratelimiter.engine.decision import Decision, Reason, RuleResult
from ratelimiter.engine.errors import EngineError, InvalidRequest
from ratelimiter.engine.explain import Explanation
from ratelimiter.engine.records import RELEASE
from ratelimiter.engine.rules import MAX_UNITS

JSON = "application/json"
PROBLEM = "application/problem+json"
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
MAX_NAMED_POLICIES = 3
NO_DECISION = "RL-Decision: none\r\n"

_encode = msgspec.json.Encoder().encode

_TITLES = {
    "invalid_request": "The request is not valid",
    "unauthenticated": "The API key is missing, malformed, unknown or revoked",
    "plan_quota_exhausted": "The plan's checks of this period are used up",
    "idempotency_mismatch": "This Idempotency-Key belongs to another request",
    "forbidden": "This API key may not do that",
    "not_found": "There is nothing here by that name",
    "method_not_allowed": "That method does not work here",
    "too_large": "The body is too large",
    "headers_too_large": "The headers are too large",
    "unavailable": "This service cannot judge right now",
}


class Answer(NamedTuple):
    """`head` are header lines, each with its line end, all but those that belong to the server that sends them
    (Content-Length, Connection and the like).
    """

    status: int
    content_type: str
    head: str
    body: bytes

    @property
    def headers(self) -> list[tuple[str, str]]:
        pairs = [line.partition(": ") for line in self.head.split("\r\n") if line]
        return [(name, value) for name, _, value in pairs]


class Allowed(msgspec.Struct, frozen=True, gc=False):
    id: str
    allowed: bool
    reason: str
    degraded: bool
    policy: str | None
    limit: int | None
    remaining: int | None
    reset_ms: int | None
    retry_after_ms: int | None
    results: Sequence[RuleResult]


class Noted(Allowed, frozen=True, gc=False, omit_defaults=True):
    """With what is said only where it holds."""

    truncated: bool = False
    shard: int = -1


def decision_render(decision: Decision) -> Answer:
    """200 when allowed, else 429 that is a problem document with the decision's members beside it."""
    d = decision
    members = Allowed(
        d.check_id, d.allowed, d.reason, d.degraded, d.policy, d.limit, d.remaining, d.reset_ms, d.retry_after_ms,
        d.results,
    )  # fmt: skip
    if d.truncated or d.shard >= 0:
        noted = {name: getattr(members, name) for name in Allowed.__struct_fields__}
        members = Noted(**noted, truncated=d.truncated, shard=d.shard)
    if d.allowed:
        return Answer(200, JSON, _ratelimit_fields(d) + "RL-Decision: allow\r\n", _encode(members))
    head = _ratelimit_fields(d) + "RL-Decision: deny\r\n"
    if d.retry_after_ms is not None:
        head += f"Retry-After: {_seconds(d.retry_after_ms)}\r\n"
    problem = {
        "type": QUOTA_EXCEEDED,
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": _denial_detail(d),
        "violated-policies": [r.rule for r in d.results if not r.allowed and r.mode == "enforce"],
    }
    return Answer(429, PROBLEM, head, _encode(problem)[:-1] + b"," + _encode(members)[1:])


def error_render(error: EngineError) -> Answer:
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(error.code, HTTPStatus(error.status).phrase),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
    }
    if isinstance(error, InvalidRequest) and error.errors:
        problem["errors"] = [{"pointer": pointer, "message": message} for pointer, message in error.errors]
    head = NO_DECISION
    if error.status == HTTPStatus.UNAUTHORIZED:
        head += "WWW-Authenticate: Bearer\r\n"
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        head += "Retry-After: 1\r\n"
    return Answer(error.status, PROBLEM, head, _encode(problem))


def given_back_render(check_id: str, what: int, amount: int) -> Answer:
    members = {"id": check_id, "released" if what == RELEASE else "refunded": amount}
    return Answer(200, JSON, NO_DECISION, _encode(members))


def explanation_render(decision: Decision, explanation: Explanation) -> Answer:
    """Always 200: it is about the check, and no answer to it."""
    answer = decision_render(decision)
    body = b'{"decision":' + answer.body + b',"explanation":' + _encode(explanation) + b"}"
    return Answer(200, JSON, NO_DECISION, body)


def batch_render(answers: list[Answer]) -> Answer:
    """Always 200; each entry is its own answer's body, with its `status` (problems have one already)."""
    entries = [
        b'{"status":200,' + answer.body[1:] if answer.status == HTTPStatus.OK else answer.body for answer in answers
    ]
    return Answer(200, JSON, NO_DECISION, b'{"results":[' + b",".join(entries) + b"]}")


def _ratelimit_fields(decision: Decision) -> str:
    nearest = []
    for position, r in enumerate(decision.results):
        if r.mode == "enforce" and r.remaining < MAX_UNITS:  # what is unlimited has no place among limits
            nearest.append((r.allowed, r.remaining / r.limit if r.limit else 0.0, position))
    if not nearest:
        return ""
    if len(nearest) > 1:
        nearest.sort()
        del nearest[MAX_NAMED_POLICIES:]
    applied = decision.applied
    policies, states = [], []
    for _, _, position in nearest:
        r = decision.results[position]
        is_ready = applied and applied[position].window_ms
        policies.append(applied[position].policy if is_ready else f'"{r.rule}";q={r.limit};w={_seconds(r.window_ms)}')
        states.append(f'"{r.rule}";r={r.remaining};t={-(-r.reset_ms // 1_000)}')
    return f"RateLimit-Policy: {', '.join(policies)}\r\nRateLimit: {', '.join(states)}\r\n"


def _denial_detail(decision: Decision) -> str:
    rule = f"Rule {decision.policy}"
    if decision.reason is Reason.COST_EXCEEDS_LIMIT:
        return f"{rule} can never admit this cost: its limit is {decision.limit}."
    if decision.reason is Reason.BLOCKED:
        return f"{rule} refuses everything from this caller."
    if decision.reason is Reason.CONCURRENCY_EXCEEDED:
        return f"{rule} allows {decision.limit} at a time and has {decision.remaining} left; release one."
    if decision.reason is Reason.FALLBACK_CLOSED:
        return f"{rule} refuses while its counters cannot be reached."
    return (
        f"{rule} allows {decision.limit} and has {decision.remaining} left; try again in {decision.retry_after_ms} ms."
    )


def _seconds(ms: int) -> int:
    return -(-ms // 1_000)
