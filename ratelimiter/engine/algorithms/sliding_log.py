"""Sliding log: every admission with its time, exact in any rolling window. A charge at t counts while now < t + W.

Entries carry the running total, so what counts now and how long to wait are found by bisection. Charges of one
millisecond share an entry. Past MAX_ENTRIES, which only `report` can reach since limits are at most 1 000, the elder
half is thinned: each two charges count from the later one's time, so nothing is forgotten too early.
"""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from ratelimiter.engine.algorithms.base import NEVER, Answer, Charged
from ratelimiter.engine.verdict import Verdict

MAX_ENTRIES = 2_048


class State(NamedTuple):
    """`totals[i]` is what was charged up to and with `times[i]`, counted from `base`."""

    base: int
    times: tuple[int, ...]
    totals: tuple[int, ...]


def _live(state: State | None, now_ms: int, window_ms: int) -> State:
    """Without what has left the window."""
    if state is None:
        return State(0, (), ())
    cut = bisect_right(state.times, now_ms - window_ms)
    base = state.totals[cut - 1] if cut else state.base
    return State(base, state.times[cut:], state.totals[cut:])


def _used(state: State) -> int:
    return state.totals[-1] - state.base if state.totals else 0


def _reset_ms(state: State, now_ms: int, window_ms: int) -> int:
    """Until everything has left the window."""
    return state.times[-1] + window_ms - now_ms if state.times else 0


def _thin(state: State) -> State:
    half = MAX_ENTRIES // 2
    times, totals = state.times, state.totals
    return State(state.base, times[1:half:2] + times[half:], totals[1:half:2] + totals[half:])


class SlidingLog:
    code = 5

    def decide(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Answer:
        live = _live(state, now_ms, p1)
        remaining = max(0, limit - _used(live))
        reset_ms = _reset_ms(live, now_ms, p1)
        if cost > limit:
            return Answer(Verdict.COST_EXCEEDS_LIMIT, remaining, reset_ms, NEVER)
        if cost <= remaining:
            return Answer(Verdict.ALLOWED, remaining, reset_ms, 0)
        leaves = bisect_left(live.totals, live.totals[-1] + cost - limit)
        wait_ms = live.times[leaves] + p1 - now_ms
        return Answer(Verdict.DENIED, remaining, wait_ms, wait_ms)

    def charge(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Charged:
        base, times, totals = _live(state, now_ms, p1)
        total = totals[-1] + cost if totals else base + cost
        at_ms = max(now_ms, times[-1]) if times else now_ms
        if times and times[-1] == at_ms:
            charged = State(base, times, (*totals[:-1], total))
        else:
            charged = State(base, (*times, at_ms), (*totals, total))
        if len(charged.times) > MAX_ENTRIES:
            charged = _thin(charged)
        return Charged(charged, _reset_ms(charged, now_ms, p1), at_ms)

    def after(self, state: State | None, *, now_ms: int, limit: int, p1: int, p2: int) -> tuple[int, int]:
        live = _live(state, now_ms, p1)
        return max(0, limit - _used(live)), _reset_ms(live, now_ms, p1)

    def give_back(self, state: State | None, *, amount: int, mark: int, p1: int, now_ms: int) -> State | None:
        """From the first entry that is not older than the mark: its own, or the one it was thinned into."""
        if state is None or mark + p1 <= now_ms:
            return state
        base, times, totals = state
        at = bisect_left(times, mark)
        if at == len(times):
            return state
        given = min(amount, totals[at] - (totals[at - 1] if at else base))
        return State(base, times, totals[:at] + tuple([total - given for total in totals[at:]]))
