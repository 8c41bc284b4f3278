"""The values that go into and come out of a decision. Durations are ms, counts are units of cost."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from ratelimiter.engine.applied import Applied
from ratelimiter.engine.rules import MAX_UNITS, MAX_WINDOW_MS, MIN_WINDOW_MS


class Mode(StrEnum):
    CONSUME = "consume"
    PEEK = "peek"
    REPORT = "report"


class Reason(StrEnum):
    OK = "ok"
    LIMIT_EXCEEDED = "limit_exceeded"
    COST_EXCEEDS_LIMIT = "cost_exceeds_limit"
    CONCURRENCY_EXCEEDED = "concurrency_exceeded"
    BLOCKED = "blocked"
    NO_RULE = "no_rule"
    FALLBACK_OPEN = "fallback_open"
    FALLBACK_CLOSED = "fallback_closed"


class InlineLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A limit that the caller brings along instead of a rule. `key` names dimensions, as in a rule."""

    name: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_UNITS)]
    window_ms: Annotated[int, msgspec.Meta(ge=MIN_WINDOW_MS, le=MAX_WINDOW_MS)]
    key: tuple[str, ...] = ()
    algorithm: Literal["sliding_window", "fixed_window", "token_bucket", "sliding_log", "concurrency"] = (
        "sliding_window"
    )
    burst: Annotated[int, msgspec.Meta(ge=0, le=MAX_UNITS)] = 0


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
    limits: tuple[InlineLimit, ...] = ()


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

    `applied` (never rendered) are the rules behind `results`, in their order. `at_ms` is when it was made, in Unix ms
    by the store's clock; one that is on record (`recorded`) keeps its id and its time when it is `replayed`. `shard` is
    -1 for a tenant that is not sharded.
    """

    check_id: str
    at_ms: int
    allowed: bool
    reason: Reason
    degraded: bool
    truncated: bool
    policy: str | None
    limit: int | None
    remaining: int | None
    reset_ms: int | None
    retry_after_ms: int | None
    results: Sequence[RuleResult]
    applied: Sequence[Applied] = ()
    shard: int = -1
    recorded: bool = False
    replayed: bool = False
    leased: int = 0  # units that were taken ahead
