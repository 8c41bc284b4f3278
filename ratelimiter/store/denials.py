"""Denials that need not be asked for again: within HOLD_MS a refused check stays refused, so an attack on one key costs
its door an answer and the store nothing.

Exact, because nothing can turn such a denial into an admission unseen. Time: it is held no longer than its own wait,
counted from before the store was asked. Rule edits and overrides: they make new `Applied`s, which are the keys here.
Refunds: whoever gives back waits HOLD_MS between the store's answer and the caller's, so no check that was sent after a
refund was answered can meet a denial from before it. Slots and penalties are not held: a release must free at once, and
breaches must be counted. Only the same cost is answered, with the wait that is left of it, and only where nothing
remains: then the numbers cannot change either. (What other rules of the check have left may be HOLD_MS old.)
"""

from collections.abc import Sequence

import msgspec

from ratelimiter.engine.applied import Applied
from ratelimiter.engine.decision import Decision, Reason, RuleResult
from ratelimiter.engine.prepare import Prepared

HOLD_MS = 50
MAX_HELD = 10_000

_Key = tuple[int, Applied | tuple[Applied, ...]]


class _Held(msgspec.Struct, frozen=True, gc=False):
    decision: Decision
    at_ns: int  # when the check came, on this process' clock
    until_ns: int


class Denials:
    """For one thread. To be cleared now and then; what is held for too long is not answered either."""

    def __init__(self) -> None:
        self.held: dict[_Key, _Held] = {}  # to be asked whether there is any before `decide` is
        self.answered = 0

    def decide(self, prepared: Prepared, now_ns: int) -> Decision | None:
        """The denial that the store would repeat. Only for checks that consume and have no extras."""
        held = self.held.get(_key(prepared.rules, prepared.check.cost))
        if held is None or now_ns >= held.until_ns:
            return None
        self.answered += 1
        return _later(held.decision, prepared.check_id, (now_ns - held.at_ns) // 1_000_000)

    def learn(self, decision: Decision, cost: int, started_ns: int) -> None:
        """A denial by the store; `started_ns` is a time before the store was asked."""
        if decision.reason is not Reason.LIMIT_EXCEEDED or not all(one.repeats_denials for one in decision.applied):
            return
        wait_ms = decision.retry_after_ms
        if wait_ms and decision.remaining == 0 and len(self.held) < MAX_HELD:
            until_ns = started_ns + min(HOLD_MS, wait_ms) * 1_000_000
            self.held[_key(decision.applied, cost)] = _Held(decision, started_ns, until_ns)

    def clear(self) -> None:
        self.held.clear()


def _key(applied: Sequence[Applied], cost: int) -> _Key:
    return cost, applied[0] if len(applied) == 1 else tuple(applied)


def _later(decision: Decision, check_id: str, elapsed_ms: int) -> Decision:
    results = [_result_later(result, elapsed_ms) for result in decision.results]
    wait_ms = (decision.retry_after_ms or 0) - elapsed_ms
    return msgspec.structs.replace(
        decision, check_id=check_id, at_ms=decision.at_ms + elapsed_ms, reset_ms=wait_ms, retry_after_ms=wait_ms,
        results=results,
    )  # fmt: skip


def _result_later(result: RuleResult, elapsed_ms: int) -> RuleResult:
    retry_ms = result.retry_after_ms
    return msgspec.structs.replace(
        result,
        reset_ms=max(0, result.reset_ms - elapsed_ms),
        retry_after_ms=None if retry_ms is None else max(0, retry_ms - elapsed_ms),
    )
