"""A tenant that is spread over several slots: what a rule's limit must be, so that every shard has a useful share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ratelimiter.engine.matching import MIN_SHARE, SHARDED_IPV6_PREFIX
from ratelimiter.engine.overrides import IP


@dataclass(frozen=True, slots=True)
class ShardingInfo:
    """A check belongs to the shard that the hash of its `dimension` says."""

    shards: int
    dimension: str


class Shared(Protocol):
    """What RuleInfo and a verified RuleSpec have in common."""

    @property
    def key(self) -> Sequence[str] | None: ...
    @property
    def ipv6_prefix(self) -> int: ...
    @property
    def is_gate(self) -> bool: ...


def least_limit(rule: Shared, sharding: ShardingInfo | None) -> int:
    """The least limit that the rule, or an override of it, may have besides 0. Counters keyed by the dimension are
    whole on one shard; others are split, and a share of a few would deny and admit by chance.
    """
    if sharding is None or sharding.shards == 1 or rule.is_gate:
        return 0
    is_whole = sharding.dimension in (rule.key or ()) and (
        sharding.dimension != IP or rule.ipv6_prefix >= SHARDED_IPV6_PREFIX
    )
    return 0 if is_whole else MIN_SHARE * sharding.shards
