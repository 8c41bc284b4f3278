"""The values that go into and come out of a decision. Durations are ms, counts are units of cost."""

from enum import IntEnum, StrEnum
from typing import Annotated, Literal

import msgspec

from ratelimiter.engine.rules import MAX_UNITS, Rule


class Mode(StrEnum):
    CONSUME = "consume"
    PEEK = "peek"
    REPORT = "report"


class Reason(StrEnum):
    OK = "ok"
    LIMIT_EXCEEDED = "limit_exceeded"
    COST_EXCEEDS_LIMIT = "cost_exceeds_limit"
    NO_RULE = "no_rule"
    FALLBACK_OPEN = "fallback_open"
    FALLBACK_CLOSED = "fallback_closed"


class Verdict(IntEnum):
    """One rule's answer as script and memory store return it."""

    ALLOWED = 0
    DENIED = 1
    COST_EXCEEDS_LIMIT = 2
    FALLBACK_OPEN = 3
    FALLBACK_CLOSED = 4


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of POST /v1/check, decoded by wire.decode; sizes in bytes are checked there."""

    ip: str | None = None
    route: str | None = None
    user: str | None = None
    attributes: dict[str, str] = {}
    namespace: str = "default"
    cost: Annotated[int, msgspec.Meta(ge=1, le=MAX_UNITS)] = 1
    mode: Literal["consume", "peek", "report"] = "consume"
    rules: tuple[str, ...] | None = None
    refundable: bool = False


class RuleResult(msgspec.Struct, frozen=True, gc=False):
    """What one rule said. `retry_after_ms` is None where waiting does not help."""

    rule: str
    allowed: bool
    mode: str
    limit: int
    remaining: int
    window_ms: int
    reset_ms: int
    retry_after_ms: int | None


class Decision(msgspec.Struct, frozen=True):
    """The answer. `policy` and its four companions belong to the binding rule, None when no rule matched.

    `rules` (never rendered) are the evaluated rules, in the order of `results`.
    """

    allowed: bool
    reason: Reason
    degraded: bool
    truncated: bool
    policy: str | None
    limit: int | None
    remaining: int | None
    reset_ms: int | None
    retry_after_ms: int | None
    results: tuple[RuleResult, ...]
    rules: tuple[Rule, ...] = ()
