"""What script and memory store say of one rule; lua/check.lua has the same numbers."""

from enum import IntEnum


class Verdict(IntEnum):
    """One rule's answer as script and memory store return it."""

    ALLOWED = 0
    DENIED = 1
    COST_EXCEEDS_LIMIT = 2
    FALLBACK_OPEN = 3
    FALLBACK_CLOSED = 4
    CONCURRENCY_EXCEEDED = 5
    BLOCKED = 6
