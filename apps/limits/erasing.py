"""What this room holds of a tenant: rules in its cell, and in the counters' Redis all that doors know and count."""

from itertools import islice

from apps.core.counters import counters
from apps.limits.publishing import EXPIRED_KEPT
from apps.tenants.privacy.holdings import (
    Elsewhere,
    Holding,
    Retention,
    When,
    elsewhere_declare,
    holdings_declare,
    retentions_declare,
)
from ratelimiter.engine.keys import tenant_patterns
from ratelimiter.snapshot.publish import Publisher

AT_ONCE = 500


def holdings_register() -> None:
    holdings_declare(
        Holding(table="cell.limits_override"),
        Holding(table="cell.limits_rule"),
        Holding(table="cell.limits_sharding"),
    )
    retentions_declare(
        Retention("Keys and rules", "Rules, overrides and API keys", until="until they are deleted"),
        Retention("Keys and rules", "What doors know of a key that has expired", EXPIRED_KEPT),
        Retention("Keys and rules", "Counters", until="two windows of their rule; the period, of quotas"),
    )
    elsewhere_declare(Elsewhere("counters, keyring and snapshot", When.AFTER, counters_erase))


def counters_erase(tenant_id: int) -> None:
    """Looks through all keys once, as counters of values that callers send have names that nobody wrote down. Raises
    RedisError.
    """
    redis = counters()
    publisher = Publisher(redis)
    for page in publisher.digests_held():
        for digest in (digest for digest, owner in page.items() if owner == tenant_id):
            publisher.key_publish(digest, None, tenant=tenant_id)
    publisher.snapshot_withdraw(tenant_id)
    for pattern in tenant_patterns(tenant_id):
        found = redis.scan_iter(match=pattern, count=1_000)
        while names := list(islice(found, AT_ONCE)):
            pipeline = redis.pipeline(transaction=False)
            for name in names:
                pipeline.unlink(name)
            pipeline.execute()
