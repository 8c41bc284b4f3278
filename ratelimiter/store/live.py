"""Today's counts per tenant, kept live in the counters' Redis for pages that show a number now.

A door counts in plain integers and adds them up here once a second. They are for looking at: billing and charts come
from events. Days are UTC; a day's hash lives 40 days, long enough to add up a month.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from ratelimiter.engine import keys
from ratelimiter.engine.decision import Decision

KEEP_S = 40 * 86_400
FIELDS = ("checks", "allowed", "denied", "degraded", "shadow_denied", "live_checks")


class LiveTotals(msgspec.Struct):
    """Counts of checks; `live_checks` are the billable ones: allowed, made with a live key."""

    checks: int = 0
    allowed: int = 0
    denied: int = 0
    degraded: int = 0
    shadow_denied: int = 0
    live_checks: int = 0


class Pipeline(Protocol):
    """The commands a flush needs; a redis-py pipeline has them, and so can an async client."""

    def hincrby(self, name: str, key: str, amount: int) -> object: ...
    def hset(self, name: str, key: str, value: str) -> object: ...
    def expire(self, name: str, time: int) -> object: ...


class LiveCounts:
    """Counts between two flushes. Not for several threads."""

    def __init__(self) -> None:
        self._totals: dict[int, LiveTotals] = defaultdict(LiveTotals)
        self._used: dict[int, set[int]] = defaultdict(set)

    def count(self, decision: Decision, tenant: int, key_id: int, *, live: bool) -> None:
        totals = self._totals[tenant]
        totals.checks += 1
        if decision.allowed:
            totals.allowed += 1
            totals.live_checks += live
        else:
            totals.denied += 1
        if decision.degraded:
            totals.degraded += 1
        if decision.allowed and any(not result.allowed for result in decision.results):
            totals.shadow_denied += 1
        self._used[tenant].add(key_id)

    def flush(self, pipeline: Pipeline, *, now_s: int) -> bool:
        """Queues the increments on `pipeline` and starts over; False when there was nothing."""
        if not self._totals:
            return False
        day = datetime.fromtimestamp(now_s, UTC).date().isoformat()
        for tenant, totals in self._totals.items():
            name = keys.live_counts(tenant, day)
            for field in FIELDS:
                amount = getattr(totals, field)
                if amount:
                    pipeline.hincrby(name, field, amount)
            pipeline.expire(name, KEEP_S)
        for tenant, key_ids in self._used.items():
            for key_id in key_ids:
                pipeline.hset(keys.key_last_used(tenant), str(key_id), str(now_s))
        self._totals.clear()
        self._used.clear()
        return True


class HashReader(Protocol):
    """A plain sync client of the counters' Redis."""

    def hgetall(self, name: str) -> dict[bytes, bytes]: ...


def live_totals(redis: HashReader, *, tenant: int, first: datetime, last: datetime) -> LiveTotals:
    """The sum over the UTC days from `first` to `last`, both included."""
    totals = LiveTotals()
    day = first.date()
    while day <= last.date():
        for field, amount in redis.hgetall(keys.live_counts(tenant, day.isoformat())).items():
            name = field.decode()
            setattr(totals, name, getattr(totals, name) + int(amount))
        day += timedelta(days=1)
    return totals
