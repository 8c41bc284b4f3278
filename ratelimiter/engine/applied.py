"""A rule on its way to one counter: which key, which limit, and the numbers that the script needs."""

from enum import IntEnum
from typing import Any

from ratelimiter.engine.algorithms import penalty
from ratelimiter.engine.algorithms.table import ALGORITHMS, CALENDAR_WINDOW
from ratelimiter.engine.calendar import Cell, cell_at
from ratelimiter.engine.rules import Algorithm, Rule, RuleMode

LOGGED = frozenset({Algorithm.SLIDING_LOG, Algorithm.CONCURRENCY})
PASSED, DENIED, SHADOW_DENIED = 0, 1, 2  # what events say of a rule
HEAVY = 250  # entries of a log or of slots that cost about as much as one more evaluation


def outcome_code(rule_id: int, outcome: int) -> int:
    """One number for what became of one rule, as events carry it: the rule's id above two bits of outcome."""
    return rule_id << 2 | outcome


class Standing(IntEnum):
    """Whether a counter is asked at all."""

    COUNTS = 0
    UNLIMITED = 1
    BLOCKED = 2


class Applied:
    """`limit` is the one in force (an override's, a shard's share). `numbers` is empty where they depend on the check.

    `expires_at_ms` is when an override ends that made it, 0 = never. `penalty_key` is b"" without an escalation. What
    answers and events say of the rule again and again stands here ready: `policy` for RateLimit-Policy, `outcomes` for
    events, passed or not. `window_ms` is 0 where windows differ in length; then `policy` is not to be used.
    """

    __slots__ = (
        "_calendar", "_cell", "_shadow", "code", "expires_at_ms", "is_enforced", "key", "limit", "mode", "name",
        "numbers", "outcomes", "penalty_key", "penalty_numbers", "policy", "repeats_denials", "rule", "standing",
        "weight", "window_ms",
    )  # fmt: skip

    def __init__(
        self,
        rule: Rule,
        key: bytes,
        *,
        limit: int,
        burst: int,
        penalty_key: bytes = b"",
        expires_at_ms: int = 0,
        standing: Standing = Standing.COUNTS,
    ) -> None:
        self.rule = rule
        self.key = key
        self.limit = limit
        self.expires_at_ms = expires_at_ms
        self.standing = standing
        self.penalty_key = penalty_key
        self.penalty_numbers = penalty.numbers_of(rule.escalation) if rule.escalation and penalty_key else ()
        self.name = rule.name
        self.mode = rule.mode.value
        self.is_enforced = rule.mode is RuleMode.ENFORCE
        self.window_ms = rule.window_ms if rule.calendar is None else 0
        self.policy = f'"{rule.name}";q={limit};w={-(-rule.window_ms // 1_000)}'
        self.outcomes = (
            outcome_code(rule.id, PASSED),
            outcome_code(rule.id, DENIED if self.is_enforced else SHADOW_DENIED),
        )
        # Whether a denial stays one until its wait is over, unless somebody gives back.
        self.repeats_denials = not penalty_key and rule.algorithm is not Algorithm.CONCURRENCY
        self.weight = _weight(rule, limit) + (penalty_key != b"")
        self._calendar = rule.calendar
        self._cell: Cell | None = None
        self._shadow = int(rule.mode is RuleMode.SHADOW)
        self.code = (CALENDAR_WINDOW if rule.calendar is not None else ALGORITHMS[rule.algorithm]).code
        p1, p2 = rule.window_ms, (burst or limit) if rule.algorithm is Algorithm.TOKEN_BUCKET else 0
        depends = rule.calendar is not None or rule.algorithm is Algorithm.CONCURRENCY
        self.numbers: tuple[Any, ...] = () if depends else (self.code, self._shadow, limit, p1, p2)

    def numbers_for(self, at_ms: int, nonce: str) -> tuple[Any, ...]:
        """algorithm, shadow, limit, p1, p2 at a moment of the store's time, for the check that is called `nonce`."""
        if self.numbers:
            return self.numbers
        if self._calendar is None:
            return (self.code, self._shadow, self.limit, self.rule.window_ms, nonce)
        cell = self._cell
        if cell is None or not cell.start_ms <= at_ms < cell.end_ms:
            cell = self._cell = cell_at(self._calendar, at_ms)
        return (self.code, self._shadow, self.limit, cell.end_ms, cell.next_end_ms)


def _weight(rule: Rule, limit: int) -> int:
    return 1 + limit // HEAVY if rule.algorithm in LOGGED else 1
