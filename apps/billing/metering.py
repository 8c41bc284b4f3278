"""The doors' counters of billable checks are raised to what has been counted, and never lowered: a counter that was
lost with its Redis would otherwise give a capped plan its checks again.
"""

from datetime import datetime, timedelta

import structlog
from redis import RedisError

from apps.analytics.ingest.database import Connection
from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.limits.quotas import quota_counter_raise
from apps.limits.selectors import sharding_of
from apps.plans.selectors import quota_of

RECENT = timedelta(minutes=15)  # whoever asked nothing lately has lost nothing that matters before he asks again

log = structlog.get_logger(__name__)


def quota_counters_raise(connection: Connection, *, now: datetime) -> int:
    """Of every tenant that was active lately. Returns how many were raised or found high enough."""
    tenants = connection.execute(
        "SELECT DISTINCT tenant_id FROM analytics.check_minute WHERE at >= %s", [now - RECENT]
    ).fetchall()
    done = 0
    for (tenant_id,) in tenants:
        try:
            quota = quota_of(tenant_id, now)
            with tenant_scope(tenant_id):
                sharding = sharding_of(tenant_id)
        except NotFound:
            continue
        row = connection.execute(
            "SELECT coalesce(sum(billable), 0)::bigint FROM analytics.check_hour WHERE tenant_id = %s AND at >= %s",
            [tenant_id, quota.period.starts_at],
        ).fetchone()
        assert row is not None
        try:
            quota_counter_raise(tenant_id=tenant_id, period=quota.period, sharding=sharding, units=row[0])
        except RedisError as error:
            log.warning("quota_not_raised", tenant=tenant_id, reason=str(error))
            return done
        done += 1
    return done
