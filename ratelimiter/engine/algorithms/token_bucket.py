"""Token bucket in integers: the level is kept in units of 1/W token, W being the window in ticks.

So one tick refills exactly `limit` of them. A tick is 1 ms for windows up to a day and 1 s above. burst * W <= 2^53 is
checked when a rule is saved.
"""

from ratelimiter.engine.algorithms.base import NEVER, Answer, Charged
from ratelimiter.engine.verdict import Verdict

DAY_MS = 86_400_000

State = tuple[int, int]  # tick of the last settling, level in 1/W tokens


def tick_ms(window_ms: int) -> int:
    return 1 if window_ms <= DAY_MS else 1_000


def _settle(state: State | None, now_ms: int, limit: int, p1: int, p2: int) -> tuple[int, int]:
    """(tick, level) as of now; a full bucket is the same as no state. A clock that stepped back refills nothing."""
    now_tick = now_ms // tick_ms(p1)
    full = p2 * (p1 // tick_ms(p1))
    if state is None:
        return now_tick, full
    stored, level = state
    if stored >= now_tick:
        return stored, min(level, full)
    return now_tick, min(full, level + (now_tick - stored) * limit)


def _ms_until(tick: int, ticks: int, now_ms: int, p1: int) -> int:
    """From now to `ticks` ticks after `tick`."""
    return (tick + ticks) * tick_ms(p1) - now_ms


def _reset_ms(tick: int, level: int, now_ms: int, limit: int, p1: int, p2: int) -> int:
    """Until the bucket is full again."""
    missing = p2 * (p1 // tick_ms(p1)) - level
    return 0 if missing == 0 else _ms_until(tick, -(-missing // limit), now_ms, p1)


class TokenBucket:
    code = 3

    def decide(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Answer:
        ticks = p1 // tick_ms(p1)
        tick, level = _settle(state, now_ms, limit, p1, p2)
        remaining = level // ticks
        reset_ms = _reset_ms(tick, level, now_ms, limit, p1, p2)
        if cost > p2:
            return Answer(Verdict.COST_EXCEEDS_LIMIT, remaining, reset_ms, NEVER)
        if cost * ticks <= level:
            return Answer(Verdict.ALLOWED, remaining, reset_ms, 0)
        wait_ms = _ms_until(tick, -(-(cost * ticks - level) // limit), now_ms, p1)
        return Answer(Verdict.DENIED, remaining, wait_ms, wait_ms)

    def charge(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Charged:
        ticks = p1 // tick_ms(p1)
        tick, level = _settle(state, now_ms, limit, p1, p2)
        taken = min(level, min(cost, p2) * ticks)
        level -= taken
        return Charged((tick, level), max(1, _reset_ms(tick, level, now_ms, limit, p1, p2)), taken)

    def after(self, state: State | None, *, now_ms: int, limit: int, p1: int, p2: int) -> tuple[int, int]:
        tick, level = _settle(state, now_ms, limit, p1, p2)
        return level // (p1 // tick_ms(p1)), _reset_ms(tick, level, now_ms, limit, p1, p2)

    def give_back(self, state: State | None, *, amount: int, mark: int, p1: int, now_ms: int) -> State | None:
        """`mark` is what was taken. A bucket that is fuller than full is cut to size when it is settled."""
        if state is None:
            return None
        tick, level = state
        return tick, level + min(mark, amount * (p1 // tick_ms(p1)))
