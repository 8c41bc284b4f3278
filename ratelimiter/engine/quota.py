"""The plan's checks of a period, counted by the script that decides.

A billable check is one that was allowed, in the modes consume and report, with a live key, whatever its cost. What is
exhausted is said before any rule is looked at. The counter may be lost with its Redis: the control plane raises it to
what is on the ledger, and never lowers it.
"""

import msgspec

QUOTA_CODE = 7  # where a quota is given back, as if it were an algorithm


class Quota(msgspec.Struct, frozen=True):
    """`period` names the billing period. `cap` is the most checks in it, grace included; 0 counts without refusing.

    From `ends_at_ms` (Unix ms, 0 = never) on, `next_period` is the period, with the same cap: so doors change over by
    themselves, and what is published after that has the one after.
    """

    period: str
    cap: int
    ends_at_ms: int = 0
    next_period: str = ""


class QuotaKey(msgspec.Struct, frozen=True, gc=False):
    """A quota where it is counted."""

    key: bytes
    cap: int
