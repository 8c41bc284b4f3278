"""Sliding window over two cells: used = current + ceil(previous * w / 2^16), w = ceil((W - elapsed) * 2^16 / W).

The weight is an integer out of 65 536, so Lua's doubles and Python's integers agree exactly: previous <= 2^32 makes the
product at most 2^48, and (W - elapsed) * 2^16 stays below 2^52 for windows up to 400 days. The approximation is the
one popularised by Cloudflare's two-counter limiter; rounding up makes it admit less, never more, than its formula.

`used` never rises while time passes, also across the cell boundary, hence the closed form of the wait.
"""

from ratelimiter.engine.algorithms.base import NEVER, Answer, Charged
from ratelimiter.engine.verdict import Verdict

SCALE = 65_536
MAX_CELL = 2**32  # `report` charges past the limit; the cell saturates here

State = tuple[int, int, int]  # cell index, units in it, units in the one before


def _settle(state: State | None, now_ms: int, window_ms: int) -> tuple[int, int, int, int]:
    """(cell, current, previous, elapsed) as of now.

    After a step back of the clock the stored cell stays, and elapsed is negative.
    """
    cell = now_ms // window_ms
    current = previous = 0
    if state is not None:
        stored = state[0]
        if stored >= cell:
            cell, current, previous = state
        elif stored == cell - 1:
            previous = state[1]
    return cell, current, previous, now_ms - cell * window_ms


def _used(current: int, previous: int, elapsed: int, window_ms: int) -> int:
    weight = -(-(window_ms - max(0, elapsed)) * SCALE // window_ms)
    return current - (-previous * weight // SCALE)


def _elapsed_when_fits(units: int, room: int, window_ms: int) -> int:
    """The least elapsed time of a cell at which `units` of the cell before weigh at most `room`."""
    if units <= room:
        return 0
    return window_ms - (room * SCALE // units) * window_ms // SCALE


class SlidingWindow:
    code = 1

    def decide(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Answer:
        window_ms = p1
        _, current, previous, elapsed = _settle(state, now_ms, window_ms)
        remaining = max(0, limit - _used(current, previous, elapsed, window_ms))
        left_ms = window_ms - elapsed
        if cost > limit:
            return Answer(Verdict.COST_EXCEEDS_LIMIT, remaining, left_ms, NEVER)
        if cost <= remaining:
            return Answer(Verdict.ALLOWED, remaining, left_ms, 0)
        room = limit - cost - current
        if room >= 0:
            wait_ms = _elapsed_when_fits(previous, room, window_ms) - elapsed
        else:
            wait_ms = left_ms + _elapsed_when_fits(current, limit - cost, window_ms)
        return Answer(Verdict.DENIED, remaining, wait_ms, wait_ms)

    def charge(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Charged:
        cell, current, previous, elapsed = _settle(state, now_ms, p1)
        return Charged((cell, min(current + cost, MAX_CELL), previous), 2 * p1 - elapsed, cell)

    def after(self, state: State | None, *, now_ms: int, limit: int, p1: int, p2: int) -> tuple[int, int]:
        _, current, previous, elapsed = _settle(state, now_ms, p1)
        return max(0, limit - _used(current, previous, elapsed, p1)), p1 - elapsed

    def give_back(self, state: State | None, *, amount: int, mark: int, p1: int, now_ms: int) -> State | None:
        if state is None:
            return None
        cell, current, previous = state
        if mark == cell:
            return cell, max(0, current - amount), previous
        if mark == cell - 1:
            return cell, current, max(0, previous - amount)
        return state
