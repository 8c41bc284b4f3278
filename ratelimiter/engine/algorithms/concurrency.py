"""Concurrency: a slot per check under way, given back by `release` or freed by its time to live.

p1 is that time in ms, p2 the nonce that names the check's slots. The longest life belongs to the youngest slot, because
all slots of a counter live equally long.
"""

from typing import NamedTuple

from ratelimiter.engine.algorithms.base import NEVER, Answer, Charged
from ratelimiter.engine.verdict import Verdict

MAX_SLOTS = 2_048  # only `report` can reach it; from then on the youngest entry takes the others' slots too


class Slots(NamedTuple):
    expires_ms: int
    nonce: str
    taken: int


State = tuple[Slots, ...]  # eldest first


def _live(state: State | None, now_ms: int) -> State:
    return tuple([slots for slots in state or () if slots.expires_ms > now_ms])


def _used(state: State) -> int:
    return sum(slots.taken for slots in state)


def _reset_ms(state: State, now_ms: int) -> int:
    """Until every slot is free even if nobody releases one."""
    return state[-1].expires_ms - now_ms if state else 0


class Concurrency:
    code = 6

    def decide(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: str) -> Answer:
        live = _live(state, now_ms)
        remaining, reset_ms = max(0, limit - _used(live)), _reset_ms(live, now_ms)
        if cost > limit:
            return Answer(Verdict.COST_EXCEEDS_LIMIT, remaining, reset_ms, NEVER)
        if cost <= remaining:
            return Answer(Verdict.ALLOWED, remaining, reset_ms, 0)
        return Answer(Verdict.CONCURRENCY_EXCEEDED, remaining, reset_ms, NEVER)

    def charge(self, state: State | None, *, now_ms: int, cost: int, limit: int, p1: int, p2: str) -> Charged:
        live = _live(state, now_ms)
        if len(live) < MAX_SLOTS:
            expires_ms = max(now_ms + p1, live[-1].expires_ms) if live else now_ms + p1
            charged = (*live, Slots(expires_ms, p2, cost))
        else:
            charged = (*live[:-1], live[-1]._replace(taken=min(live[-1].taken + cost, 2**32 - 1)))
        return Charged(charged, _reset_ms(charged, now_ms), p2)

    def after(self, state: State | None, *, now_ms: int, limit: int, p1: int, p2: str) -> tuple[int, int]:
        live = _live(state, now_ms)
        return max(0, limit - _used(live)), _reset_ms(live, now_ms)

    def give_back(self, state: State | None, *, amount: int, mark: str, p1: int, now_ms: int) -> State | None:
        if state is None:
            return None
        left = [s._replace(taken=s.taken - min(amount, s.taken)) if s.nonce == mark else s for s in state]
        return tuple([slots for slots in left if slots.taken])
