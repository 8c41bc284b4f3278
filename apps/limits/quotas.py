"""The plan's checks as the doors count them: read for pages, and raised to what has been counted for good."""

import structlog
from redis import RedisError

from apps.core.counters import counters
from apps.limits.shares import ShardingInfo
from apps.plans.periods import Period
from ratelimiter.engine import keys
from ratelimiter.store.quota import quota_raise, quota_used

log = structlog.get_logger(__name__)


def quota_count(*, tenant_id: int, period: Period, sharding: ShardingInfo | None) -> int:
    """Billable checks of the period, as doors count them; 0 when Redis is away. Not inside a scope."""
    try:
        return sum(quota_used(counters(), name) for name in _names(tenant_id, period, sharding))
    except RedisError as error:
        log.warning("quota_unknown", tenant=tenant_id, reason=str(error))
        return 0


def quota_counter_raise(*, tenant_id: int, period: Period, sharding: ShardingInfo | None, units: int) -> None:
    """Never lowers it. What a tenant's shards lack together is added to the first. Raises RedisError."""
    redis, names = counters(), _names(tenant_id, period, sharding)
    held = [quota_used(redis, name) for name in names]
    missing = units - sum(held)
    if missing > 0:
        quota_raise(redis, names[0], held[0] + missing)


def _names(tenant_id: int, period: Period, sharding: ShardingInfo | None) -> list[str]:
    shards = [-1] if sharding is None else range(sharding.shards)
    return [keys.quota(keys.tenant_tag(tenant_id, shard), period.id) for shard in shards]
