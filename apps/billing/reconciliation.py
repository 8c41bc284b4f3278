"""The same usage as every part has it, side by side: the doors, the rollups, the ledger, the bill."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from apps.analytics.health import ingest_health
from apps.analytics.ingest.database import Connection
from apps.billing.models import CHECKS, Settlement
from apps.billing.rating import BilledPeriod, bill

COMPARED = timedelta(days=3)  # what is older gets no late checks
NAMED = 20  # differences in the log

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Difference:
    """An hour of which the ledger says something else than the rollups: `ledger - rollups` is not 0."""

    tenant_id: int
    hour: datetime
    rollups: int
    ledger: int


_DIFFERENCES = """
SELECT coalesce(r.tenant_id, l.tenant_id), coalesce(r.at, l.usage_hour), coalesce(r.units, 0), coalesce(l.units, 0)
FROM (
    SELECT tenant_id, at, sum(billable)::bigint AS units FROM analytics.check_hour
    WHERE at >= %(since)s AND at < %(until)s AND (%(tenant)s::bigint IS NULL OR tenant_id = %(tenant)s) GROUP BY 1, 2
) AS r FULL JOIN (
    SELECT tenant_id, usage_hour, sum(delta)::bigint AS units FROM billing.usage
    WHERE meter = %(meter)s AND usage_hour >= %(since)s AND usage_hour < %(until)s
    AND (%(tenant)s::bigint IS NULL OR tenant_id = %(tenant)s) GROUP BY 1, 2
) AS l ON l.tenant_id = r.tenant_id AND l.usage_hour = r.at
WHERE coalesce(r.units, 0) <> coalesce(l.units, 0) ORDER BY 1, 2
"""
_SUMS = """
SELECT
    (SELECT coalesce(sum(billable), 0) FROM analytics.check_hour
     WHERE tenant_id = %(tenant)s AND at >= %(since)s AND at < %(until)s)::bigint,
    (SELECT coalesce(sum(billable), 0) FROM analytics.check_hour
     WHERE tenant_id = %(tenant)s AND at >= %(since)s AND at < least(%(until)s, %(posted)s))::bigint,
    (SELECT coalesce(sum(delta), 0) FROM billing.usage
     WHERE tenant_id = %(tenant)s AND meter = %(meter)s
     AND usage_hour >= %(since)s AND usage_hour < %(until)s)::bigint,
    (SELECT coalesce(sum(delta), 0) FROM billing.usage
     WHERE tenant_id = %(tenant)s AND meter = %(meter)s
     AND billing_hour >= %(since)s AND billing_hour < %(until)s)::bigint,
    (SELECT coalesce(sum(units), 0) FROM billing.overage
     WHERE tenant_id = %(tenant)s AND period_at = %(since)s)::bigint,
    (SELECT coalesce(sum(units), 0) FROM billing.overage
     WHERE tenant_id = %(tenant)s AND period_at = %(since)s AND told_at IS NOT NULL)::bigint,
    (SELECT coalesce(sum(missing), 0) FROM analytics.ingest_gap WHERE found_at >= %(since)s)::bigint
"""


def differences(
    connection: Connection, *, since: datetime, until: datetime, tenant_id: int | None = None
) -> list[Difference]:
    """Hours from `since` to the ledger's watermark at most; empty when all is well."""
    rows = connection.execute(
        _DIFFERENCES,
        {"since": since, "until": min(until, _posted_until(connection)), "tenant": tenant_id, "meter": CHECKS},
    )
    return [Difference(*row) for row in rows.fetchall()]


def compare(connection: Connection, *, now: datetime) -> int:
    """Of the last COMPARED days; written down for whoever is to be alarmed. Returns how many hours differ."""
    found = differences(connection, since=now - COMPARED, until=now)
    for one in found[:NAMED]:
        log.error("usage_differs", tenant=one.tenant_id, hour=one.hour.isoformat(), rollups=one.rollups,
                  ledger=one.ledger)  # fmt: skip
    connection.execute("UPDATE billing.posted SET differing = %s, compared_at = %s", [len(found), now])
    return len(found)


@dataclass(frozen=True, slots=True)
class StripeSide:
    """What Stripe answers: units that its meter has of the period, and cents that it has charged for it. `preview` is
    the next invoice's total, None without a subscription.
    """

    metered: int
    charged_cents: int
    preview_cents: int | None


def usage_report(
    connection: Connection, *, tenant_id: int, period: BilledPeriod, doors: int | None, stripe: StripeSide | None
) -> dict[str, Any]:
    """`doors` is what their counter holds, None for a period whose counter is gone. Counts are billable checks, money
    is in cents. `rollups` may be ahead of `ledger` by the hours that have not settled: `unsettled` says by how much.
    `to_tell` is what rows of overage sum up to, `told` what Stripe is known to have heard of them. `stripe` is what it
    says itself, None where it was not asked; `settled` is what its charges were compared with when the period was over.
    """
    asked = {
        "tenant": tenant_id, "since": period.starts_at, "until": period.ends_at, "meter": CHECKS,
        "posted": _posted_until(connection),
    }  # fmt: skip
    row = connection.execute(_SUMS, asked).fetchone()
    assert row is not None
    rollups, settled, by_usage_hour, billed_units, made, told, missing = map(int, row)
    billed = bill(period, billed_units)
    found = differences(connection, since=period.starts_at, until=period.ends_at, tenant_id=tenant_id)
    return {
        "period": {"starts_at": period.starts_at.isoformat(), "ends_at": period.ends_at.isoformat()},
        "plan": period.terms.plan_code,
        "doors": doors,
        "rollups": rollups,
        "unsettled": rollups - settled,
        "ledger": by_usage_hour,
        "billed": billed.used,
        "included": period.included,
        "overage": billed.overage,
        "to_tell": made,
        "told": told,
        "acknowledged": stripe.metered if stripe else None,
        "charged_cents": stripe.charged_cents if stripe else None,
        "preview_cents": stripe.preview_cents if stripe else None,
        "settled": _settled(tenant_id, period),
        "lines": [
            {"kind": line.kind, "quantity": line.quantity, "unit_micro_cents": line.unit_micro_cents,
             "amount_cents": line.amount_cents}
            for line in billed.lines
        ],
        "total_cents": billed.total_cents,
        "differences": [
            {"hour": one.hour.isoformat(), "rollups": one.rollups, "ledger": one.ledger} for one in found
        ],
        "missing_events": missing,
        "lag_s": round(ingest_health()["lag_s"], 3),
    }  # fmt: skip


def _settled(tenant_id: int, period: BilledPeriod) -> dict[str, int] | None:
    made = Settlement.objects.filter(tenant_id=tenant_id, period_at=period.starts_at).first()
    if made is None:
        return None
    return {
        "billed_cents": made.billed_cents,
        "charged_cents": made.charged_cents,
        "correction_cents": made.correction_cents,
    }


def _posted_until(connection: Connection) -> datetime:
    row = connection.execute("SELECT until FROM billing.posted").fetchone()
    assert row is not None
    until: datetime = row[0]
    return until
