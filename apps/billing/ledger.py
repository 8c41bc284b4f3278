"""The usage ledger: settled hours become rows once, and what changes later becomes a row of its own.

One transaction reads the rollups, writes the rows and moves the watermark, so a kill at any point neither loses nor
doubles. Usage that comes after its hour was posted keeps its usage hour. It is billed there as long as the bill of that
period is not final; afterwards in the hour in which it was found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from apps.analytics.ingest.database import Connection
from apps.billing.models import CHECKS
from apps.plans.periods import hour_of

GRACE = timedelta(hours=6)  # after its end a period's bill is final
OVERLAP = timedelta(minutes=15)  # transactions that began earlier may commit later
CORRECTED = timedelta(days=40)  # older hours are left to people: Stripe takes nothing that old

log = structlog.get_logger(__name__)

PeriodEnd = Callable[[int, datetime], datetime]  # of (tenant, usage hour): when its billing period ends


@dataclass(frozen=True, slots=True)
class Posted:
    """`until` is the new watermark; `rows` of settled hours, `corrections` of hours posted before."""

    until: datetime
    rows: int
    corrections: int


_SETTLED = """
INSERT INTO billing.usage (tenant_id, meter, usage_hour, seq, delta, billing_hour)
SELECT tenant_id, %(meter)s, at, 0, sum(billable)::bigint, at FROM analytics.check_hour
WHERE at >= %(since)s AND at < %(until)s GROUP BY tenant_id, at HAVING sum(billable) > 0 ORDER BY tenant_id, at
"""
_DIFFERENCES = """
SELECT tenant_id, usage_hour, counted - posted AS delta, next_seq FROM (
    SELECT asked.tenant_id, asked.usage_hour,
        (SELECT coalesce(sum(billable), 0) FROM analytics.check_hour c
         WHERE c.tenant_id = asked.tenant_id AND c.at = asked.usage_hour)::bigint AS counted,
        (SELECT coalesce(sum(delta), 0) FROM billing.usage u WHERE u.tenant_id = asked.tenant_id
         AND u.meter = %(meter)s AND u.usage_hour = asked.usage_hour)::bigint AS posted,
        (SELECT coalesce(max(seq) + 1, 0) FROM billing.usage u WHERE u.tenant_id = asked.tenant_id
         AND u.meter = %(meter)s AND u.usage_hour = asked.usage_hour) AS next_seq
    FROM ({asked}) AS asked
) AS hours WHERE counted <> posted
AND NOT EXISTS (SELECT FROM analytics.erased gone WHERE gone.tenant_id = hours.tenant_id) ORDER BY tenant_id, usage_hour
"""
_LATE = """
SELECT tenant_id, at AS usage_hour FROM analytics.late_hour WHERE found_at > %(late_since)s AND at < %(until)s
AND at >= %(oldest)s
"""
_EVERY = """
SELECT DISTINCT tenant_id, at AS usage_hour FROM analytics.check_hour WHERE at >= %(oldest)s AND at < %(until)s
UNION SELECT tenant_id, usage_hour FROM billing.usage WHERE usage_hour >= %(oldest)s AND usage_hour < %(until)s
"""


def usage_post(connection: Connection, *, now: datetime, period_end: PeriodEnd) -> Posted:
    """Posts the hours that have settled since the last time, and corrects those that got late checks."""
    with connection.transaction():
        since, late_since, until = _watermarks(connection)
        posted = connection.execute(_SETTLED, {"meter": CHECKS, "since": since, "until": until}).rowcount
        corrections = _correct(connection, _LATE, since, late_since, now, period_end)
        connection.execute(
            "UPDATE billing.posted SET until = %s, late_until = %s", [until, max(late_since, now - OVERLAP)]
        )
    return Posted(until, posted, corrections)


def usage_correct(connection: Connection, *, now: datetime, period_end: PeriodEnd) -> int:
    """Compares every posted hour of the last CORRECTED days with its rollups, for what the marks of late hours missed:
    days that were made anew from raw rows, for one. Returns how many rows it took.
    """
    with connection.transaction():
        since, late_since, _ = _watermarks(connection)
        return _correct(connection, _EVERY, since, late_since, now, period_end)


def _watermarks(connection: Connection) -> tuple[datetime, datetime, datetime]:
    """Held until the commit: until when is posted, until when late hours were looked at, until when hours settled."""
    row = connection.execute("SELECT until, late_until FROM billing.posted FOR UPDATE").fetchone()
    settled = connection.execute("SELECT until FROM analytics.settled FOR SHARE").fetchone()
    assert row is not None
    assert settled is not None
    return row[0], row[1], settled[0]


def _correct(
    connection: Connection, asked: str, posted_until: datetime, late_since: datetime, now: datetime,
    period_end: PeriodEnd,
) -> int:  # fmt: skip
    differences = connection.execute(
        _DIFFERENCES.format(asked=asked),
        {"meter": CHECKS, "late_since": late_since, "until": posted_until, "oldest": now - CORRECTED},
    ).fetchall()
    for tenant_id, usage_hour, delta, seq in differences:
        is_final = now >= period_end(tenant_id, usage_hour) + GRACE
        billing_hour = hour_of(now) if is_final else usage_hour
        connection.execute(
            "INSERT INTO billing.usage (tenant_id, meter, usage_hour, seq, delta, billing_hour)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [tenant_id, CHECKS, usage_hour, seq, delta, billing_hour],
        )
        log.info("usage_corrected", tenant=tenant_id, usage_hour=usage_hour.isoformat(), delta=delta)
    return len(differences)
