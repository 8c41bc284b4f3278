"""Which hours are whole.

An hour has settled when every partition of every door that lives was heard of ten minutes after the hour's end: what a
door decided before a heartbeat lies before it in the bus, so it has been counted. A door that was not heard of for a
quarter of an hour, while others were, is left out with an alarm; if it comes back, its checks are late, and land in
their own hour all the same.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from apps.analytics.ingest.database import Connection

PATIENCE = timedelta(minutes=10)
SILENCE = timedelta(minutes=15)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """`until` never goes back."""

    until: datetime
    left_out: list[str]


def settle(connection: Connection, *, now: datetime) -> Settlement:
    """One transaction. Silence is measured against the latest heartbeat of any door, not the clock: when the bus stands
    still, nobody is silent, and nothing settles.
    """
    with connection.transaction():
        rows = connection.execute(
            "UPDATE analytics.ingest_source s SET left_out_at = %s FROM"
            " (SELECT partition, max(heard_at) AS latest FROM analytics.ingest_source GROUP BY partition) AS heard"
            " WHERE s.partition = heard.partition AND NOT is_over AND left_out_at IS NULL AND heard_at < latest - %s"
            " RETURNING boot",
            [now, SILENCE],
        ).fetchall()
        left_out = sorted({boot for (boot,) in rows})
        row = connection.execute(
            "UPDATE analytics.settled SET until = greatest(until, coalesce((SELECT date_trunc('hour',"
            " least(min(heard_at), %s) - %s::interval, 'UTC') FROM analytics.ingest_source"
            " WHERE NOT is_over AND left_out_at IS NULL), until)) RETURNING until",
            [now, PATIENCE],
        ).fetchone()
    assert row is not None
    for boot in left_out:
        log.error("door_left_out", boot=boot, silent_for_s=SILENCE.total_seconds())
    return Settlement(row[0], left_out)
