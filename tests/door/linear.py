"""Did a counter answer as if one check had been made after the other, each at some moment while its caller waited?

(Herlihy & Wing, Linearizability, 1990.) For most objects that is a search. This one's answers say where they belong:
every admitted check names what it left, costs are at least 1, so the admitted ones form one chain, and whatever changed
nothing saw one link of it. What remains to be asked is whether that order contradicts the clock.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Operation(NamedTuple):
    """One check as its caller saw it; `begun` and `ended` on one clock. A peek answers as if it took its cost."""

    begun: int
    ended: int
    cost: int
    peek: bool
    allowed: bool
    remaining: int


def violation(history: Sequence[Operation], limit: int) -> str | None:
    """None when the history is linearizable; else what is wrong with it. The counter begins full."""
    for operation in history:
        if wrong := _wrong_by_itself(operation, limit):
            return f"{wrong}: {operation}"
    takers = sorted((op for op in history if op.allowed and not op.peek), key=lambda op: -op.remaining)
    left = limit
    position = {left: 0}  # of what was left, in the chain; its takers stand between
    for number, taker in enumerate(takers, start=1):
        if taker.remaining + taker.cost != left:
            return f"{left} were left, and the next to take was {taker}"
        left = taker.remaining
        position[left] = 2 * number
    ordered = []
    for operation in history:
        seen = _left_after(operation)
        if seen not in position:
            return f"never was so much left: {operation}"
        ordered.append((position[seen] - _takes(operation), operation))
    return _against_the_clock(sorted(ordered))


def _wrong_by_itself(operation: Operation, limit: int) -> str | None:
    if operation.begun > operation.ended:
        return "answered before it was asked"
    if not 0 <= operation.remaining <= limit:
        return "more or less than there is"
    if not operation.allowed and operation.cost <= operation.remaining:
        return "denied what there was room for"
    return None


def _takes(operation: Operation) -> bool:
    return operation.allowed and not operation.peek


def _left_after(operation: Operation) -> int:
    return operation.remaining + (operation.cost if operation.peek and operation.allowed else 0)


def _against_the_clock(ordered: Sequence[tuple[int, Operation]]) -> str | None:
    """Nothing may have ended before something began that comes before it. Equal positions have no order."""
    latest_before = latest = None
    at = -2
    for position, operation in ordered:
        if position != at:
            at, latest_before = position, latest
        if latest_before is not None and operation.ended < latest_before.begun:
            return f"{operation} had ended when {latest_before} began, and yet comes after it"
        if latest is None or operation.begun > latest.begun:
            latest = operation
    return None
