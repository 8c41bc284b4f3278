"""From the script's reply to a decision."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ratelimiter.engine.algorithms.base import NEVER
from ratelimiter.engine.applied import Applied, Standing
from ratelimiter.engine.calendar import length_ms
from ratelimiter.engine.decision import Decision, Reason, RuleResult
from ratelimiter.engine.errors import EngineError, IdempotencyMismatch, NotFound, QuotaExhausted
from ratelimiter.engine.prepare import VALUES_PER_EVALUATION, Entry
from ratelimiter.engine.records import GiveBack, context_decode
from ratelimiter.engine.verdict import Verdict

ALLOWED_WITHOUT_RULES = (1,)  # what the script would reply on a check that met no rule; no store need be asked
IS_MISMATCH, IS_EXHAUSTED, IS_MISSING, LEASED = 2, 3, 4, 16

# Plain numbers: the hot path meets them several times a check, and an enum's members are looked up slowly.
_PASSING = frozenset((int(Verdict.ALLOWED), int(Verdict.FALLBACK_OPEN)))
_FALLBACK_OPEN = int(Verdict.FALLBACK_OPEN)
_BLOCKED = int(Verdict.BLOCKED)

_DENIAL_REASON: dict[int, Reason] = {
    Verdict.DENIED: Reason.LIMIT_EXCEEDED,
    Verdict.COST_EXCEEDS_LIMIT: Reason.COST_EXCEEDS_LIMIT,
    Verdict.CONCURRENCY_EXCEEDED: Reason.CONCURRENCY_EXCEEDED,
    Verdict.BLOCKED: Reason.BLOCKED,
    Verdict.FALLBACK_CLOSED: Reason.FALLBACK_CLOSED,
}


_REFUSALS: dict[int, Callable[[], EngineError]] = {
    IS_MISMATCH: lambda: IdempotencyMismatch("this Idempotency-Key was used for another request"),
    IS_EXHAUSTED: lambda: QuotaExhausted("the plan's checks of this period are used up; nothing was counted"),
}


class GivenBack(NamedTuple):
    """The outcome of a GiveBack; the same when an earlier request gave it back."""

    amount: int


Outcome = Decision | GivenBack | EngineError


def interpret(entry: Entry, reply: Sequence[Any], offset: int) -> Outcome:
    """`reply[offset]` is the verdict on the whole entry, four numbers per evaluation follow (see lua/check.lua).

    Replayed decisions come back as they were. Errors are values here: QuotaExhausted, IdempotencyMismatch, and, for
    what was to be given back, NotFound.
    """
    verdict = reply[offset]
    if isinstance(entry, GiveBack):
        return GivenBack(reply[offset + 1]) if verdict != IS_MISSING else NotFound("this check is on record no more")
    if type(verdict) is list:
        return _replay(verdict)
    if verdict in _REFUSALS:
        return _REFUSALS[verdict]()
    now_ms: int = reply[0]
    extras = entry.extras
    if extras is None:
        return decide(entry.rules, reply, offset, now_ms, entry.check_id, entry.truncated)
    return decide(
        extras.applied or entry.rules, reply, offset, now_ms, entry.check_id, entry.truncated,
        shard=extras.shard, recorded=extras.recording is not None, leased=max(0, verdict - LEASED),
    )  # fmt: skip


def decide(
    applied: Sequence[Applied],
    reply: Sequence[int],
    offset: int,
    now_ms: int,
    check_id: str,
    truncated: bool,  # noqa: FBT001 - by place, it is called for every check
    *,
    degraded: bool = False,
    shard: int = -1,
    recorded: bool = False,
    replayed: bool = False,
    leased: int = 0,
) -> Decision:
    """`applied` are the rules of the answer. `now_ms` is the store's time of the reply."""
    allowed = reply[offset] == 1 or reply[offset] >= LEASED
    results = []
    winner: RuleResult | None = None
    reason, is_open = 0, False
    at = offset + 1
    for one in applied:
        if one.standing:
            verdict, remaining, reset_ms, retry_ms = _without_counter(one)
        else:
            verdict, remaining, reset_ms, retry_ms = reply[at : at + VALUES_PER_EVALUATION]
            at += VALUES_PER_EVALUATION
            if one.penalty_key:
                own = reply[at : at + VALUES_PER_EVALUATION]
                at += VALUES_PER_EVALUATION
                if verdict != _BLOCKED:
                    verdict, remaining, reset_ms, retry_ms = own
        result = RuleResult(
            one.name, verdict in _PASSING, one.mode, one.limit, remaining,
            one.window_ms or _calendar_window_ms(one, now_ms + reset_ms), reset_ms,
            None if retry_ms == NEVER else retry_ms,
        )  # fmt: skip
        results.append(result)
        if one.is_enforced:
            if verdict == _BLOCKED:
                allowed = False
            if winner is None or _binds(result, winner, allowed=allowed):
                winner, reason = result, verdict
        is_open |= verdict == _FALLBACK_OPEN
    if winner is None:
        return Decision(
            check_id, now_ms, True, Reason.NO_RULE, degraded, truncated, None, None, None, None, None,  # noqa: FBT003
            results, applied, shard, recorded, replayed, leased,
        )  # fmt: skip
    said = (Reason.FALLBACK_OPEN if is_open else Reason.OK) if allowed else _DENIAL_REASON[reason]
    return Decision(
        check_id, now_ms, allowed, said, degraded, truncated,
        winner.rule, winner.limit, winner.remaining, winner.reset_ms, winner.retry_after_ms,
        results, applied, shard, recorded, replayed, leased,
    )  # fmt: skip


def _calendar_window_ms(applied: Applied, end_ms: int) -> int:
    calendar = applied.rule.calendar
    return 0 if calendar is None else length_ms(calendar, end_ms)


def _without_counter(applied: Applied) -> tuple[int, int, int, int]:
    if applied.standing is Standing.BLOCKED:
        return _BLOCKED, 0, 0, NEVER
    return Verdict.ALLOWED, applied.limit, 0, 0


def _replay(record: Sequence[Any]) -> Decision:
    """fingerprint, context, the store's time then, the reply's part then"""
    context, applied = context_decode(record[1])
    return decide(
        applied, record, 3, record[2], context.check_id, context.truncated,
        shard=context.shard, recorded=True, replayed=True,
    )  # fmt: skip


def _binds(candidate: RuleResult, holder: RuleResult, *, allowed: bool) -> bool:
    """Of the denying rules the longest to wait binds (never is longest), else the least remaining / limit."""
    if allowed:
        return candidate.remaining * holder.limit < holder.remaining * candidate.limit
    if candidate.allowed or holder.allowed:
        return holder.allowed and not candidate.allowed
    if holder.retry_after_ms is None or candidate.retry_after_ms is None:
        return candidate.retry_after_ms is None and holder.retry_after_ms is not None
    return candidate.retry_after_ms > holder.retry_after_ms
