"""What repeated breaches lead to: a block, twice as long each time it follows closely on another (rules.Escalation).

Not a rule's algorithm but its companion, with a counter of its own: the only thing that a denied check writes.
"""

from ratelimiter.engine.rules import Escalation

CODE = 9
MAX_DOUBLINGS = 6


def numbers_of(escalation: Escalation) -> tuple[int, int, int, int, int]:
    """As an evaluation of the script: code, shadow, limit, p1, p2."""
    return CODE, 0, escalation.breaches, escalation.within_ms, escalation.block_ms
