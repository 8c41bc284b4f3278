"""The same decisions as lua/check.lua, in this process: the fallback's counters and the script's mirror in tests.

A store of one process knows only what that process saw. It is bounded: past `max_counters` the expired go first, then
those that were made first.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from ratelimiter.engine.algorithms.table import BY_CODE
from ratelimiter.engine.verdict import Verdict

CONSUME, PEEK, REPORT = 0, 1, 2
MAX_COUNTERS = 100_000


class Evaluation(NamedTuple):
    """One rule of one check, in the terms of the script's arguments."""

    key: bytes
    algorithm: int
    shadow: bool
    limit: int
    p1: int
    p2: Any


class MemoryStore:
    def __init__(self, *, max_counters: int = MAX_COUNTERS) -> None:
        self._max_counters = max_counters
        self._counters: dict[bytes, tuple[Any, int]] = {}  # key -> state, expires at ms

    def check(self, evaluations: Sequence[Evaluation], *, mode: int, cost: int, now_ms: int) -> list[int]:
        """What the script returns for one check: 1 or 0, then verdict, remaining, reset_ms, retry_ms per rule."""
        reply = [1]
        for e in evaluations:
            answer = BY_CODE[e.algorithm].decide(
                self._state(e.key, now_ms), now_ms=now_ms, cost=cost, limit=e.limit, p1=e.p1, p2=e.p2
            )
            if answer.verdict is not Verdict.ALLOWED and not e.shadow:
                reply[0] = 0
            reply += answer
        if mode == REPORT:
            reply[0] = 1
        if reply[0]:
            self._charge(evaluations, reply, mode=mode, cost=cost, now_ms=now_ms)
        return reply

    def seed(self, evaluation: Evaluation, used: int, *, capacity: int, now_ms: int) -> None:
        """Raises a counter to `used`; it is never lowered."""
        e, state = evaluation, self._state(evaluation.key, now_ms)
        left, _ = BY_CODE[e.algorithm].after(state, now_ms=now_ms, limit=e.limit, p1=e.p1, p2=e.p2)
        missing = used - (capacity - left)
        if missing > 0:
            self._write(e, state, cost=missing, now_ms=now_ms)

    def __len__(self) -> int:
        return len(self._counters)

    def _charge(
        self, evaluations: Sequence[Evaluation], reply: list[int], *, mode: int, cost: int, now_ms: int
    ) -> None:
        for position, e in enumerate(evaluations):
            at = 1 + 4 * position
            if reply[at] != Verdict.ALLOWED and mode != REPORT:
                continue
            algorithm = BY_CODE[e.algorithm]
            before = self._state(e.key, now_ms)
            if mode == PEEK:
                state, _, _ = algorithm.charge(before, now_ms=now_ms, cost=cost, limit=e.limit, p1=e.p1, p2=e.p2)
            else:
                state = self._write(e, before, cost=cost, now_ms=now_ms)
            reply[at + 1 : at + 3] = algorithm.after(state, now_ms=now_ms, limit=e.limit, p1=e.p1, p2=e.p2)
            if mode == REPORT:
                reply[at], reply[at + 3] = Verdict.ALLOWED, 0

    def _state(self, key: bytes, now_ms: int) -> Any:
        held = self._counters.get(key)
        return held[0] if held is not None and held[1] > now_ms else None

    def _write(self, e: Evaluation, before: Any, *, cost: int, now_ms: int) -> Any:
        state, life_ms, _ = BY_CODE[e.algorithm].charge(
            before, now_ms=now_ms, cost=cost, limit=e.limit, p1=e.p1, p2=e.p2
        )
        if e.key not in self._counters and len(self._counters) >= self._max_counters:
            self._make_room(now_ms)
        self._counters[e.key] = (state, now_ms + life_ms)
        return state

    def _make_room(self, now_ms: int) -> None:
        self._counters = {key: held for key, held in self._counters.items() if held[1] > now_ms}
        excess = len(self._counters) - self._max_counters * 9 // 10
        for key in list(islice(self._counters, max(0, excess))):
            del self._counters[key]
