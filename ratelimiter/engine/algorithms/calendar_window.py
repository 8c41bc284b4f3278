"""Fixed window whose cells are days or months of a time zone (see ..calendar).

A cell is named by its end. p1 and p2 are the ends of the cell that the caller takes for the present one and of the
next; which of the two it is, the store's clock says.
"""

from ratelimiter.engine.algorithms.base import NEVER, Answer, Charged
from ratelimiter.engine.verdict import Verdict

MAX_CELL = 2**32

State = tuple[int, int]  # end of the cell in Unix ms, units in it


def _settle(state: State | None, now_ms: int, p1: int, p2: int) -> tuple[int, int]:
    end_ms, current = p1 if now_ms < p1 else p2, 0
    if state is not None and state[0] >= end_ms:
        end_ms, current = state
    return end_ms, current


class CalendarWindow:
    code = 4

    def decide(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Answer:
        end_ms, current = _settle(state, now_ms, p1, p2)
        remaining, left_ms = max(0, limit - current), end_ms - now_ms
        if cost > limit:
            return Answer(Verdict.COST_EXCEEDS_LIMIT, remaining, left_ms, NEVER)
        if cost <= remaining:
            return Answer(Verdict.ALLOWED, remaining, left_ms, 0)
        return Answer(Verdict.DENIED, remaining, left_ms, left_ms)

    def charge(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Charged:
        end_ms, current = _settle(state, now_ms, p1, p2)
        return Charged((end_ms, min(current + cost, MAX_CELL)), max(1, end_ms - now_ms), end_ms)

    def after(self, state: State | None, *, now_ms: int, limit: int, p1: int, p2: int) -> tuple[int, int]:
        end_ms, current = _settle(state, now_ms, p1, p2)
        return max(0, limit - current), end_ms - now_ms

    def give_back(self, state: State | None, *, amount: int, mark: int, p1: int, now_ms: int) -> State | None:
        if state is None or state[0] != mark:
            return state
        return mark, max(0, state[1] - amount)
