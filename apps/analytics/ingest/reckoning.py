"""What the tables say of one tenant's checks, side by side: they must agree, unless rows were sampled or collapsed."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.analytics.ingest.database import Connection
from ratelimiter.events.segments import spooled_events

COUNTED = ("allowed", "denied", "shadow_denied", "degraded", "cost", "checks")
_RAW = """
SELECT coalesce(sum(weight) FILTER (WHERE allowed), 0), coalesce(sum(weight) FILTER (WHERE NOT allowed), 0),
       coalesce(sum(weight)
                FILTER (WHERE allowed AND EXISTS (SELECT FROM unnest(results) AS code WHERE code & 3 = 2)), 0),
       coalesce(sum(weight) FILTER (WHERE degraded), 0), coalesce(sum(weight * cost) FILTER (WHERE allowed), 0),
       coalesce(sum(weight), 0)
FROM analytics.event
"""
_SUMS = """
SELECT coalesce(sum(allowed), 0), coalesce(sum(denied), 0), coalesce(sum(shadow_denied), 0),
       coalesce(sum(degraded), 0), coalesce(sum(cost), 0), coalesce(sum(allowed + denied), 0)
FROM analytics.check_{grain}
"""
_WHERE = " WHERE tenant_id = %s AND at >= %s AND at < %s"


def tenant_totals(connection: Connection, *, tenant_id: int, since: datetime, until: datetime) -> dict[str, Any]:
    """{raw, minute, hour, day}, each {allowed, denied, shadow_denied, degraded, cost, checks}. Rows count whose own
    beginning lies in [since, until), so ask for whole days to compare days.
    """
    statements = {"raw": _RAW} | {grain: _SUMS.format(grain=grain) for grain in ("minute", "hour", "day")}
    totals = {}
    for name, statement in statements.items():
        row = connection.execute(statement + _WHERE, [tenant_id, since, until]).fetchone()
        assert row is not None
        totals[name] = dict(zip(COUNTED, map(int, row), strict=True))
    return totals


def events_spooled() -> int:
    """How many wait in this machine's spool for the shipper."""
    return spooled_events(Path(settings.SPOOL_DIR))
