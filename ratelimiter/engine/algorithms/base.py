"""What every algorithm offers. The Lua file of the same name does the same arithmetic, number for number.

Decision and charge are apart, because a check charges all its rules or none.
"""

from typing import Any, NamedTuple, Protocol

from ratelimiter.engine.verdict import Verdict

NEVER = -1  # in `retry_ms`: waiting does not help


class Answer(NamedTuple):
    """verdict, units left before this cost is taken, ms to reset, ms until this cost alone would pass (or NEVER)."""

    verdict: Verdict
    remaining: int
    reset_ms: int
    retry_ms: int


class Charged(NamedTuple):
    """The new state, its life in ms, and the mark by which `give_back` finds again what was charged."""

    state: Any
    life_ms: int
    mark: Any


class AlgorithmDefinition(Protocol):
    """`state` is None before the first charge and after expiry; states are opaque tuples of integers. `p1` and `p2` are
    what engine.applied gives the script besides limit and cost.
    """

    code: int

    def decide(self, state: Any, *, now_ms: int, cost: int, limit: int, p1: int, p2: Any) -> Answer: ...

    def charge(self, state: Any, *, now_ms: int, cost: int, limit: int, p1: int, p2: Any) -> Charged: ...

    def after(self, state: Any, *, now_ms: int, limit: int, p1: int, p2: Any) -> tuple[int, int]:
        """Units left and ms to reset, seen after a charge."""
        ...

    def give_back(self, state: Any, *, amount: int, mark: Any, p1: int, now_ms: int) -> Any:
        """The state without `amount` of what was charged under `mark`; what has passed by now is not given back."""
        ...
