"""What the numbers in rollups and raw rows mean. The data plane writes them (ratelimiter.events.totals and
ratelimiter.engine.applied); this room may not import it, so tests hold the two together.
"""

LATENCY_BUCKETS = 32
LATENCY_FIRST_US = 64
# Upper bounds in µs, each √2 wider than the one before; the last bucket is open.
LATENCY_BOUNDS_US = tuple(round(LATENCY_FIRST_US * 2 ** (step / 2)) for step in range(LATENCY_BUCKETS - 1))

PASSED, DENIED, SHADOW_DENIED = 0, 1, 2


def outcome_code(rule_id: int, outcome: int) -> int:
    """One entry of a raw row's `results`."""
    return rule_id << 2 | outcome


def outcome_of(code: int) -> tuple[int, int]:
    """(rule id, outcome). Limits that came with the check are rule 0."""
    return code >> 2, code & 3
