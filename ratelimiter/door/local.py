"""Checks that this process can decide by itself: by a denial that still holds, or by units that were taken ahead."""

from collections.abc import Callable
from typing import Any

from ratelimiter.engine.decision import Decision
from ratelimiter.engine.interpret import Outcome
from ratelimiter.engine.prepare import Prepared
from ratelimiter.engine.records import GiveBack
from ratelimiter.store.coalescer import Decided
from ratelimiter.store.denials import Denials
from ratelimiter.store.leases import LIFE_MS, Leases

TICKS_A_LEASE = LIFE_MS // 100


class LocalDecisions:
    """In front of `submit`, which takes checks to the store and calls back."""

    def __init__(self, submit: Callable[[Prepared | GiveBack, Decided], None]) -> None:
        self._submit = submit
        self._ticks = 0
        self.denials = Denials()
        self.leases = Leases()

    def submit(self, prepared: Prepared, decided: Decided, *, leases: bool, started_ns: int) -> None:
        """`started_ns` is when the check came; `leases` whether any rule of its tenant allows them."""
        if prepared.extras is not None or prepared.check.mode != "consume":
            self._submit(prepared, decided)
            return
        if self.denials.held:
            denied = self.denials.decide(prepared, started_ns)
            if denied is not None:
                decided(denied)
                return
        if leases and prepared.rules and all(rule.rule.lease and rule.is_enforced for rule in prepared.rules):
            self._submit_leasing(prepared, decided, started_ns)
            return
        self._submit(prepared, decided)

    def learn(self, decision: Decision, cost: int, started_ns: int) -> None:
        """A denial that the store made for a check without extras."""
        self.denials.learn(decision, cost, started_ns)

    def tick(self, now_ns: int) -> None:
        """Ten times a second."""
        self.denials.clear()
        self._ticks += 1
        if self._ticks % TICKS_A_LEASE == 0:
            self.leases.forget_seen()
        self._return(self.leases.expired(now_ns))

    def stop(self, now_ns: int) -> None:
        """Gives back what is held, while the store can still be asked."""
        self._return(self.leases.expired(now_ns, everything=True))

    def _submit_leasing(self, prepared: Prepared, decided: Decided, started_ns: int) -> None:
        admitted = self.leases.decide(prepared, started_ns)
        if admitted is not None:
            decided(admitted)
            return
        asking = self.leases.asking(prepared)
        if asking is prepared:
            self._submit(prepared, decided)
            return

        def learn(outcome: Outcome) -> None:
            decided(self.leases.learn(prepared, outcome, started_ns))

        self._submit(asking, learn)

    def _return(self, returns: list[GiveBack]) -> None:
        for one in returns:
            self._submit(one, _ignore)


def _ignore(_: Any) -> None:
    """Units that could not be given back are lost until their window ends."""
