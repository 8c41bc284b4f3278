"""Fixed window: one cell per whole window of Unix time.

Up to 2 × limit may pass around a boundary; the rule's page says so.
"""

from ratelimiter.engine.algorithms.base import NEVER, Answer, Charged
from ratelimiter.engine.verdict import Verdict

MAX_CELL = 2**32

State = tuple[int, int]  # cell index, units in it


def _settle(state: State | None, now_ms: int, window_ms: int) -> tuple[int, int, int]:
    """(cell, current, elapsed) as of now. After a step back of the clock the stored cell stays; elapsed is negative."""
    cell, current = now_ms // window_ms, 0
    if state is not None and state[0] >= cell:
        cell, current = state
    return cell, current, now_ms - cell * window_ms


class FixedWindow:
    code = 2

    def decide(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Answer:
        _, current, elapsed = _settle(state, now_ms, p1)
        remaining = max(0, limit - current)
        left_ms = p1 - elapsed
        if cost > limit:
            return Answer(Verdict.COST_EXCEEDS_LIMIT, remaining, left_ms, NEVER)
        if cost <= remaining:
            return Answer(Verdict.ALLOWED, remaining, left_ms, 0)
        return Answer(Verdict.DENIED, remaining, left_ms, left_ms)

    def charge(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Charged:
        cell, current, elapsed = _settle(state, now_ms, p1)
        return Charged((cell, min(current + cost, MAX_CELL)), p1 - elapsed, cell)

    def after(self, state: State | None, *, now_ms: int, limit: int, p1: int, p2: int) -> tuple[int, int]:
        _, current, elapsed = _settle(state, now_ms, p1)
        return max(0, limit - current), p1 - elapsed

    def give_back(self, state: State | None, *, amount: int, mark: int, p1: int, now_ms: int) -> State | None:
        if state is None or state[0] != mark:
            return state
        return mark, max(0, state[1] - amount)
