"""Rollups and watermarks, as ingest leaves them."""

from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
H0 = NOW.replace(minute=0, second=0, microsecond=0) - 9 * HOUR


def count(metering, tenant, hour, billable, *, namespace="default", live=True):
    """As ingest adds to a rollup."""
    metering.execute(
        "INSERT INTO analytics.check_hour AS t (tenant_id, at, namespace, live, allowed, denied, shadow_denied,"
        " degraded, billable, cost, latency)"
        " VALUES (%s, %s, %s, %s, %s, 3, 0, 0, %s, 0, array_fill(0::bigint, ARRAY[32]))"
        " ON CONFLICT (tenant_id, at, namespace, live) DO UPDATE SET billable = t.billable + excluded.billable",
        [tenant, hour, namespace, live, billable, billable],
    )


def late(metering, tenant, hour, billable, found_at=NOW):
    count(metering, tenant, hour, billable)
    metering.execute(
        "INSERT INTO analytics.late_hour (tenant_id, at, checks, found_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (tenant_id, at) DO UPDATE SET found_at = excluded.found_at",
        [tenant, hour, billable, found_at],
    )


def settle(metering, until):
    metering.execute("UPDATE analytics.settled SET until = %s", [until])
