"""What the ledger says beyond the included checks, as rows to be told to whoever collects.

A row has the difference between a period's overage now and what its rows say already, so their sum is always the
bill's. Making and telling are two steps with a commit between: a row's identifier is made with it and never again, so
telling it twice counts once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.analytics.ingest.database import Connection
from apps.billing.ledger import CORRECTED
from apps.billing.models import CHECKS
from apps.billing.rating import BilledPeriod, bill

# Stripe's period begins somewhere in the first hour of ours and ends somewhere in the hour after it, so of all moments
# of an hour its last second is sure to lie in the same one of both.
LAST_SECOND = timedelta(minutes=59, seconds=59)

PeriodsOf = Callable[[int], Sequence[BilledPeriod]]  # of a tenant, in order, the current one last


@dataclass(frozen=True, slots=True)
class OverageRow:
    """`tried_at` is when it was sent last, whatever came of it; None before the first time."""

    tenant_id: int
    period_at: datetime
    seq: int
    units: int
    at: datetime
    identifier: str
    tried_at: datetime | None = None


def overage_make(connection: Connection, *, now: datetime, periods_of: PeriodsOf) -> list[OverageRow]:
    """For every tenant whose ledger has grown since the last time. One transaction."""
    with connection.transaction():
        row = connection.execute("SELECT overage_number FROM billing.posted FOR UPDATE").fetchone()
        assert row is not None
        tenants = connection.execute(
            "SELECT tenant_id, max(number) FROM billing.usage WHERE number > %s GROUP BY 1 ORDER BY 1", [row[0]]
        ).fetchall()
        made = [
            found
            for tenant_id, _ in tenants
            for period in periods_of(tenant_id)
            if period.ends_at > now - CORRECTED and (found := _difference(connection, tenant_id, period, now))
        ]
        looked_at = max((number for _, number in tenants), default=row[0])
        connection.execute("UPDATE billing.posted SET overage_number = %s", [looked_at])
    return made


def untold(connection: Connection, tenants: Sequence[int], *, at_most: int) -> list[OverageRow]:
    """Rows of these tenants that nobody is known to have been told, oldest first."""
    rows = connection.execute(
        "SELECT tenant_id, period_at, seq, units, at, identifier, tried_at FROM billing.overage"
        " WHERE told_at IS NULL AND refused IS NULL AND tenant_id = ANY(%s) ORDER BY made_at, tenant_id, seq LIMIT %s",
        [list(tenants), at_most],
    )
    return [OverageRow(*row) for row in rows.fetchall()]


def _difference(connection: Connection, tenant_id: int, period: BilledPeriod, now: datetime) -> OverageRow | None:
    if period.terms.overage_micro_cents is None:
        return None
    row = connection.execute(
        "SELECT (SELECT coalesce(sum(delta), 0) FROM billing.usage WHERE tenant_id = %(tenant)s AND meter = %(meter)s"
        " AND billing_hour >= %(since)s AND billing_hour < %(until)s)::bigint, (SELECT max(billing_hour)"
        " FROM billing.usage WHERE tenant_id = %(tenant)s AND meter = %(meter)s AND billing_hour >= %(since)s"
        " AND billing_hour < %(until)s), coalesce(sum(units), 0)::bigint, coalesce(max(seq) + 1, 0)"
        " FROM billing.overage WHERE tenant_id = %(tenant)s AND period_at = %(since)s",
        {"tenant": tenant_id, "meter": CHECKS, "since": period.starts_at, "until": period.ends_at},
    ).fetchone()
    assert row is not None
    used, last_hour, said, seq = row
    units = bill(period, used).overage - said
    if not units:
        return None
    identifier = f"{tenant_id}.{CHECKS}.{period.starts_at:%Y%m%d%H}.{seq}"
    at = min((last_hour or period.starts_at) + LAST_SECOND, now)
    made = OverageRow(tenant_id, period.starts_at, seq, units, at, identifier)
    connection.execute(
        "INSERT INTO billing.overage (tenant_id, period_at, seq, units, at, identifier)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [made.tenant_id, made.period_at, made.seq, made.units, made.at, made.identifier],
    )
    return made
