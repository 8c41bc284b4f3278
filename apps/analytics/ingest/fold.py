"""Routes, keys, addresses and users by the hour, and whom a rule denied, folded from raw rows once an hour has settled.

Exact as far as raw rows are whole; where a tenant's are sampled, weights make the sums right on average. The first of
each hour keep their own row and the others share the one with digest 0, so a tenant costs a bounded number of rows
whatever its callers send. Folding an hour again gives the same rows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from apps.analytics.ingest.database import Connection

HOUR = timedelta(hours=1)
FIRST_OF_DIMENSION = 200
FIRST_OF_RULE = 100

_DIMENSIONS = """
INSERT INTO analytics.dim_hour (tenant_id, at, dimension, digest, allowed, denied, cost)
WITH counted AS (
    SELECT tenant_id, d.dimension, d.digest, coalesce(sum(weight) FILTER (WHERE allowed), 0) AS allowed,
           coalesce(sum(weight) FILTER (WHERE NOT allowed), 0) AS denied,
           coalesce(sum(weight * cost) FILTER (WHERE allowed), 0) AS cost
    FROM analytics.event
    CROSS JOIN LATERAL (VALUES ('route', route), ('ip', ip), ('user', "user"), ('key', key_id)) AS d (dimension, digest)
    WHERE at >= %(hour)s AND at < %(end)s AND d.digest IS NOT NULL
      AND (%(tenants)s::bigint[] IS NULL OR tenant_id = ANY(%(tenants)s))
    GROUP BY 1, 2, 3
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY tenant_id, dimension ORDER BY allowed + denied DESC, digest) AS place
    FROM counted
)
SELECT tenant_id, %(hour)s, dimension, CASE WHEN place <= %(first)s THEN digest ELSE 0 END AS digest,
       sum(allowed), sum(denied), sum(cost)
FROM placed GROUP BY 1, 3, 4 ORDER BY 1, 3, 4
"""
_OFFENDERS = """
INSERT INTO analytics.offender_hour (tenant_id, at, rule_id, dimension, digest, denied, shadow_denied)
WITH counted AS (
    SELECT tenant_id, code >> 2 AS rule_id, d.dimension, d.digest, coalesce(sum(weight) FILTER (WHERE code & 3 = 1), 0)
           AS denied, coalesce(sum(weight) FILTER (WHERE code & 3 = 2), 0) AS shadow_denied
    FROM analytics.event
    CROSS JOIN LATERAL unnest(results) AS code
    CROSS JOIN LATERAL (VALUES ('ip', ip), ('user', "user")) AS d (dimension, digest)
    WHERE at >= %(hour)s AND at < %(end)s AND code & 3 <> 0 AND d.digest IS NOT NULL
      AND (%(tenants)s::bigint[] IS NULL OR tenant_id = ANY(%(tenants)s))
    GROUP BY 1, 2, 3, 4
), placed AS (
    SELECT *, row_number()
           OVER (PARTITION BY tenant_id, rule_id, dimension ORDER BY denied + shadow_denied DESC, digest) AS place
    FROM counted
)
SELECT tenant_id, %(hour)s, rule_id, dimension, digest, denied, shadow_denied FROM placed WHERE place <= %(first)s
ORDER BY 1, 3, 4, 5
"""


def hours_fold(connection: Connection, *, now: datetime, at_most: int = 24) -> int:
    """Settled hours that are not folded yet, oldest first, one transaction each; and those that got checks late.
    Returns how many were done.
    """
    done = 0
    while done < at_most and _next_fold(connection):
        done += 1
    for hour, tenants in _late(connection, now):
        with connection.transaction():
            _fold(connection, hour, tenants)
        done += 1
    return done


def _next_fold(connection: Connection) -> bool:
    with connection.transaction():
        row = connection.execute(
            "SELECT greatest(folded.until, (SELECT date_trunc('hour', min(at), 'UTC') FROM analytics.event)),"
            " settled.until FROM analytics.folded, analytics.settled FOR UPDATE OF folded"
        ).fetchone()
        assert row is not None
        hour, settled = row
        if hour >= settled:
            return False
        _fold(connection, hour, None)
        connection.execute("UPDATE analytics.folded SET until = %s", [hour + HOUR])
    return True


def _late(connection: Connection, now: datetime) -> list[tuple[datetime, list[int]]]:
    """Folded hours that got checks in the last few minutes: this runs more often than that."""
    return connection.execute(
        "SELECT at, array_agg(tenant_id) FROM analytics.late_hour, analytics.folded"
        " WHERE found_at > %s AND at < folded.until GROUP BY at ORDER BY at",
        [now - timedelta(minutes=10)],
    ).fetchall()


def _fold(connection: Connection, hour: datetime, tenants: Sequence[int] | None) -> None:
    wanted = {"hour": hour, "end": hour + HOUR, "tenants": None if tenants is None else list(tenants)}
    for table, statement, first in (
        ("dim_hour", _DIMENSIONS, FIRST_OF_DIMENSION),
        ("offender_hour", _OFFENDERS, FIRST_OF_RULE),
    ):
        connection.execute(
            f"DELETE FROM analytics.{table} WHERE at = %(hour)s"  # noqa: S608
            " AND (%(tenants)s::bigint[] IS NULL OR tenant_id = ANY(%(tenants)s))",
            wanted,
        )
        connection.execute(statement, wanted | {"first": first})
