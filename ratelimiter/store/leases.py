"""Admissions taken ahead: a busy key's door debits some units at once and spends them without asking the store.

Only for checks all of whose rules allow it (`Rule.lease`), and only where the same counters were asked for several
times within a lease's life. The script debits all counters of the check together, at most half of what is left, so
leases grow small before a limit is reached. What is unused when a lease ends is given back.

Never more than the limit in a window: a lease ends with the cell that it was debited in, counted from before the store
was asked. A token bucket may see up to `lease` units per door process later than they were taken; that is the bound
that the rule's page states. Units of a process that dies are lost until their window ends.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ratelimiter.engine.algorithms.token_bucket import tick_ms
from ratelimiter.engine.applied import Applied
from ratelimiter.engine.decision import Decision
from ratelimiter.engine.interpret import Outcome
from ratelimiter.engine.prepare import Extras, Prepared
from ratelimiter.engine.quota import QUOTA_CODE
from ratelimiter.engine.records import GiveBack
from ratelimiter.engine.rules import Algorithm

LIFE_MS = 500
BUSY = 4  # checks of the same counters within a lease's life that make a lease worth while
MAX_SEEN = 50_000

_Key = Applied | tuple[Applied, ...]


class _Lease:
    __slots__ = ("at_ns", "checks", "decision", "granted", "quota_key", "tenant", "units", "until_ns")

    def __init__(self, prepared: Prepared, decision: Decision, at_ns: int, life_ms: int) -> None:
        self.tenant = prepared.tenant
        self.quota_key = prepared.quota.key if prepared.quota is not None else None
        self.decision = decision
        self.at_ns = at_ns
        self.until_ns = at_ns + life_ms * 1_000_000
        self.granted = self.units = decision.leased
        self.checks = 0


class Leases:
    """For one thread. `expired` is to be called several times a second."""

    def __init__(self) -> None:
        self._held: dict[_Key, _Lease] = {}
        self._spent: list[_Lease] = []  # used up, but for units that were too few for a cost
        self._seen: dict[_Key, int] = {}
        self._sizes: dict[_Key, int] = {}  # of leases that were used up before their time: the next may be twice that
        self._asked: set[_Key] = set()
        self.answered = 0

    def decide(self, prepared: Prepared, now_ns: int) -> Decision | None:
        """An admission from a lease. Only for checks that consume, have no extras, and whose rules all lease."""
        lease = self._held.get(_key(prepared.rules))
        cost = prepared.check.cost
        if lease is None or lease.units < cost or now_ns >= lease.until_ns:
            return None
        lease.units -= cost
        lease.checks += 1
        self.answered += 1
        return _spent(lease, prepared.check_id, (now_ns - lease.at_ns) // 1_000_000)

    def asking(self, prepared: Prepared) -> Prepared:
        """The check as it goes to the store, with a wish for a lease where that is worth while."""
        key = _key(prepared.rules)
        seen = self._seen[key] = self._seen.get(key, 0) + 1
        if key in self._asked or (seen < BUSY and key not in self._sizes):
            return prepared
        used_up = self._held.pop(key, None)
        if used_up is not None:
            self._spent.append(used_up)
            self._sizes[key] = used_up.granted
        self._asked.add(key)
        wish = 2 * max(seen * prepared.check.cost, self._sizes.get(key, 0))
        units = min(wish, *[rule.rule.lease for rule in prepared.rules])
        return msgspec.structs.replace(prepared, extras=Extras(lease=units))

    def learn(self, prepared: Prepared, outcome: Outcome, started_ns: int) -> Outcome:
        """What became of a wish, as it is to be told; `started_ns` is a time before the store was asked."""
        key = _key(prepared.rules)
        self._asked.discard(key)
        if not isinstance(outcome, Decision) or not outcome.leased:
            self._sizes.pop(key, None)
            return outcome
        lease = _Lease(prepared, outcome, started_ns, min([LIFE_MS, *_cell_ends(outcome)]))
        self._held[key] = lease
        return _spent(lease, outcome.check_id, 0)

    def expired(self, now_ns: int, *, everything: bool = False) -> list[GiveBack]:
        """Ends leases whose time has come; what they did not spend is to be sent to the store."""
        over = [key for key, lease in self._held.items() if everything or now_ns >= lease.until_ns]
        ended, self._spent = [*self._spent, *[self._held.pop(key) for key in over]], []
        for key in over:
            self._sizes.pop(key, None)
        if len(self._seen) > MAX_SEEN:
            self.forget_seen()
        return [one for lease in ended for one in _unspent(lease)]

    def forget_seen(self) -> None:
        """Twice a second: what counts as busy is counted anew."""
        self._seen.clear()


def _key(applied: Sequence[Applied]) -> _Key:
    return applied[0] if len(applied) == 1 else tuple(applied)


def _cell_ends(decision: Decision) -> list[int]:
    return [
        result.reset_ms
        for applied, result in zip(decision.applied, decision.results, strict=True)
        if applied.rule.algorithm is not Algorithm.TOKEN_BUCKET
    ]


def _spent(lease: _Lease, check_id: str, elapsed_ms: int) -> Decision:
    decision, left = lease.decision, lease.units
    results = [
        msgspec.structs.replace(r, remaining=r.remaining + left, reset_ms=max(0, r.reset_ms - elapsed_ms))
        for r in decision.results
    ]
    return msgspec.structs.replace(
        decision, check_id=check_id, at_ms=decision.at_ms + elapsed_ms, remaining=(decision.remaining or 0) + left,
        reset_ms=max(0, (decision.reset_ms or 0) - elapsed_ms), results=results, leased=0,
    )  # fmt: skip


def _unspent(lease: _Lease) -> list[GiveBack]:
    returns = []
    if lease.units:
        marks = [_charge(one, lease) for one in lease.decision.applied]
        returns.append(GiveBack(lease.tenant, b"", 0, lease.units, tuple(marks)))
    unasked = lease.granted - lease.checks
    if lease.quota_key is not None and unasked > 0:
        returns.append(GiveBack(lease.tenant, b"", 0, unasked, ((lease.quota_key, QUOTA_CODE, 0, 0),)))
    return returns


def _charge(applied: Applied, lease: _Lease) -> tuple[bytes, int, Any, int]:
    window_ms, at_ms = applied.rule.window_ms, lease.decision.at_ms
    if applied.rule.algorithm is Algorithm.TOKEN_BUCKET:
        mark = lease.granted * (window_ms // tick_ms(window_ms))
    elif applied.rule.calendar is not None:
        mark = next(
            at_ms + result.reset_ms
            for one, result in zip(lease.decision.applied, lease.decision.results, strict=True)
            if one is applied
        )
    else:
        mark = at_ms // window_ms
    return applied.key, applied.code, mark, window_ms
