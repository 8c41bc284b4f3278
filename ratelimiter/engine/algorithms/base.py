"""What every algorithm offers. The Lua file of the same name does the same arithmetic, number for number.

Decision and charge are apart, because a check charges all its rules or none.
"""

from typing import Any, NamedTuple, Protocol

from ratelimiter.engine.decision import Verdict
from ratelimiter.engine.rules import Rule

NEVER = -1  # in `retry_ms`: waiting does not help


class Answer(NamedTuple):
    """verdict, units left before this cost is taken, ms to reset, ms until this cost alone would pass (or NEVER)."""

    verdict: Verdict
    remaining: int
    reset_ms: int
    retry_ms: int


class AlgorithmDefinition(Protocol):
    """`state` is None before the first charge and after expiry; states are opaque tuples of integers.

    `params` gives the two numbers that the script needs besides limit and cost.
    """

    code: int

    def params(self, rule: Rule) -> tuple[int, int]: ...

    def decide(self, state: Any, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> Answer: ...

    def charge(self, state: Any, *, now_ms: int, cost: int, limit: int, p1: int, p2: int) -> tuple[Any, int]:
        """The new state and its life in ms."""
        ...

    def after(self, state: Any, *, now_ms: int, limit: int, p1: int, p2: int) -> tuple[int, int]:
        """Units left and ms to reset, seen after a charge."""
        ...
