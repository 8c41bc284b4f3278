"""Events added up by minute: what rollups are fed with, and what is left of events that were too many to keep.

A check is counted once in `checks`, and once in `rules` for every rule that was applied to it, so totals are only ever
sums of `checks`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ratelimiter.engine.applied import SHADOW_DENIED

if TYPE_CHECKING:
    from ratelimiter.events.schema import Event

MINUTE_MS = 60_000

LATENCY_VERSION = 1
LATENCY_BUCKETS = 32
LATENCY_FIRST_US = 64  # upper bound of bucket 0; each next one is √2 wider, the last is open
LATENCY_BOUNDS_US = tuple(round(LATENCY_FIRST_US * 2 ** (step / 2)) for step in range(LATENCY_BUCKETS - 1))

CheckKey = tuple[int, int, str, bool]  # tenant, minute (Unix ms // 60 000), namespace, live key
RuleKey = tuple[int, int, int]  # tenant, minute, rule id

# Places in a list of CheckTotals' numbers; the latency buckets follow.
ALLOWED, DENIED, SHADOWED, DEGRADED, BILLABLE, COST = range(6)
LATENCY = 6
CHECK_WIDTH = LATENCY + LATENCY_BUCKETS
RULE_WIDTH = 4  # passed, denied, shadow-denied (places are the outcomes of engine.applied), cost of what passed

_SMALL_US = 1 << 15
_Key = TypeVar("_Key", CheckKey, RuleKey)


class Collapsed(msgspec.Struct, frozen=True, array_like=True):
    """`count` events as the sums of `Totals`."""

    count: int
    checks: list[tuple[CheckKey, list[int]]]
    rules: list[tuple[RuleKey, list[int]]]


class Totals:
    """`checks[key]` are allowed, denied, shadow-denied (allowed, but a shadow rule would not have), degraded, billable,
    cost of the allowed, and the latency buckets. `rules[key]` are passed, denied, shadow-denied, cost of the passed.
    """

    __slots__ = ("checks", "rules")

    def __init__(self) -> None:
        self.checks: dict[CheckKey, list[int]] = {}
        self.rules: dict[RuleKey, list[int]] = {}

    def add(self, events: Iterable["Event"]) -> None:
        # Hot: this loop is most of what ingest costs in Python.
        checks, rules, buckets = self.checks, self.rules, _BUCKET_OF
        for event in events:
            tenant, minute, cost = event.tenant, event.at_ms // MINUTE_MS, event.cost
            live, latency_us = event.live, event.latency_us
            key = (tenant, minute, event.namespace, live)
            row = checks.get(key)
            if row is None:
                row = checks[key] = [0] * CHECK_WIDTH
            if event.allowed:
                row[ALLOWED] += 1
                row[COST] += cost
                if live:
                    row[BILLABLE] += 1
            else:
                row[DENIED] += 1
            if event.degraded:
                row[DEGRADED] += 1
            row[LATENCY + (buckets[latency_us] if 0 <= latency_us < _SMALL_US else latency_bucket(latency_us))] += 1
            shadowed = False
            for code in event.results:
                rule_key = (tenant, minute, code >> 2)
                counts = rules.get(rule_key)
                if counts is None:
                    counts = rules[rule_key] = [0] * RULE_WIDTH
                outcome = code & 3
                counts[outcome] += 1
                if not outcome:
                    counts[3] += cost
                elif outcome == SHADOW_DENIED:
                    shadowed = True
            if shadowed and event.allowed:
                row[SHADOWED] += 1

    def merge(self, collapsed: Collapsed) -> None:
        for check_key, numbers in collapsed.checks:
            _add(self.checks, check_key, numbers)
        for rule_key, numbers in collapsed.rules:
            _add(self.rules, rule_key, numbers)

    def collapsed(self, count: int) -> Collapsed:
        return Collapsed(count, list(self.checks.items()), list(self.rules.items()))


def latency_bucket(latency_us: int) -> int:
    """The bucket whose upper bound is the first not below `latency_us`."""
    for bucket, bound in enumerate(LATENCY_BOUNDS_US):
        if latency_us <= bound:
            return bucket
    return LATENCY_BUCKETS - 1


_BUCKET_OF = bytes(latency_bucket(latency_us) for latency_us in range(_SMALL_US))


def _add(held: dict[_Key, list[int]], key: _Key, numbers: list[int]) -> None:
    row = held.get(key)
    held[key] = numbers if row is None else [a + b for a, b in zip(row, numbers, strict=True)]
