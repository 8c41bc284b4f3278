"""What is answered while the store cannot: by each rule's own failure policy, and always marked `degraded`.

`local` counts in this process at ceil(limit / workers), beginning where the last good reply stood; nothing of it is
merged back. `open` passes, `closed` refuses with Retry-After 1. A refusal by any enforced rule refuses the check, and
then no local counter is charged, as in the store.

Quota, penalties and records wait for the store: what passes meanwhile is not counted against the plan, and nothing can
be given back.
"""

from ratelimiter.engine import keys
from ratelimiter.engine.applied import Applied
from ratelimiter.engine.decision import Decision
from ratelimiter.engine.errors import Unavailable
from ratelimiter.engine.interpret import Outcome, decide
from ratelimiter.engine.prepare import MODES, Entry, Prepared
from ratelimiter.engine.records import GiveBack
from ratelimiter.engine.rules import Algorithm, FailurePolicy, RuleMode
from ratelimiter.engine.verdict import Verdict
from ratelimiter.store.memory import PEEK, REPORT, Evaluation, MemoryStore

MAX_REMEMBERED = 50_000
RETRY_MS = 1_000
_NO_PENALTY = (0, 0, 0, 0)


class Fallback:
    """One per process. `workers` is how many processes share the traffic."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._store = MemoryStore()
        # Two generations: the younger takes what is new, the elder is dropped whole when that is full.
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def observe(self, prepared: Prepared, decision: Decision) -> None:
        """Remembers how full each counter was, so that a local one starts there. Called for every good reply."""
        if prepared.check.mode == "peek":  # what it shows as left has its own cost taken off
            return
        young = self._young
        for applied, result in zip(decision.applied, decision.results, strict=True):
            young[applied.key] = result.remaining
        if len(young) > MAX_REMEMBERED:
            self._old, self._young = young, {}

    def decide(self, entry: Entry, now_ms: int) -> Outcome:
        """`now_ms` in Unix ms."""
        if isinstance(entry, GiveBack):
            return Unavailable("what was counted cannot be reached right now, so nothing was given back; try again")
        return self._decide(entry, now_ms)

    def _decide(self, prepared: Prepared, now_ms: int) -> Decision:
        mode = MODES[prepared.check.mode]
        local = [rule.rule.on_failure is FailurePolicy.LOCAL for rule in prepared.rules]
        evaluations = [
            self._evaluation(rule, prepared.check_id, now_ms)
            for rule, counts in zip(prepared.rules, local, strict=True)
            if counts
        ]
        refused = mode != REPORT and any(
            rule.rule.on_failure is FailurePolicy.CLOSED and rule.rule.mode is RuleMode.ENFORCE
            for rule in prepared.rules
        )
        answers = self._store.check(
            evaluations, mode=PEEK if refused else mode, cost=prepared.check.cost, now_ms=now_ms
        )
        reply = [0 if refused else answers[0]]
        at = 1
        for rule, counts in zip(prepared.rules, local, strict=True):
            if rule.penalty_key:
                reply += _NO_PENALTY
            if counts:
                reply += answers[at : at + 4]
                at += 4
            else:
                reply += _without_counting(rule)
        extras = prepared.extras
        applied = prepared.rules if extras is None else extras.applied or prepared.rules
        shard = -1 if extras is None else extras.shard
        return decide(
            applied, reply, 0, now_ms, prepared.check_id, prepared.truncated,
            degraded=prepared.needs_store, shard=shard,
        )  # fmt: skip

    def _evaluation(self, applied: Applied, check_id: str, now_ms: int) -> Evaluation:
        key = applied.key
        algorithm, shadow, limit, p1, p2 = applied.numbers_for(now_ms, keys.slot_nonce(check_id))
        bucket = applied.rule.algorithm is Algorithm.TOKEN_BUCKET
        share = Evaluation(key, algorithm, bool(shadow), self._share(limit), p1, self._share(p2) if bucket else p2)
        remaining = self._young.pop(key, None)
        if remaining is None:
            remaining = self._old.pop(key, None)
        if remaining is not None:
            capacity = p2 if bucket else limit
            used = self._share(max(0, capacity - remaining))
            self._store.seed(share, used, capacity=self._share(capacity), now_ms=now_ms)
        return share

    def _share(self, units: int) -> int:
        return -(-units // self._workers)


def _without_counting(applied: Applied) -> tuple[int, int, int, int]:
    if applied.rule.on_failure is FailurePolicy.OPEN:
        return Verdict.FALLBACK_OPEN, applied.limit, 0, 0
    return Verdict.FALLBACK_CLOSED, 0, RETRY_MS, RETRY_MS
