"""80, 90 and 100 % of a period's checks: said once a period, plan and threshold, in that order.

Any number may evaluate at once and be killed anywhere: what was said is the notice's row, written with its deliveries
in one transaction a threshold, and a later threshold is only written after the earlier ones.
"""

import math
from datetime import datetime, timedelta

from django.db import transaction

from apps.analytics.ingest.database import Connection
from apps.billing.happenings import Happened, happened
from apps.core.errors import NotFound
from apps.notifications.kinds import QUOTA_EXCEEDED, QUOTA_WARNING
from apps.notifications.services import notify
from apps.plans.selectors import OVERAGE_UNIT, PlanQuota, quota_of

THRESHOLDS = ((80, QUOTA_WARNING), (90, QUOTA_WARNING), (100, QUOTA_EXCEEDED))


def quotas_evaluate(connection: Connection, *, active_since: datetime, now: datetime) -> int:
    """Of every tenant with checks since then. Returns how many notices were new."""
    tenants = connection.execute(
        "SELECT DISTINCT tenant_id FROM analytics.check_hour WHERE at >= date_trunc('hour', %s::timestamptz, 'UTC')",
        [active_since],
    ).fetchall()
    return sum(_evaluate(connection, tenant_id, now) for (tenant_id,) in sorted(tenants))


def _evaluate(connection: Connection, tenant_id: int, now: datetime) -> int:
    try:
        quota = quota_of(tenant_id, now)
    except NotFound:  # the tenant is gone
        return 0
    row = connection.execute(
        "SELECT coalesce(sum(billable), 0)::bigint FROM analytics.check_hour WHERE tenant_id = %s AND at >= %s",
        [tenant_id, quota.period.starts_at],
    ).fetchone()
    assert row is not None
    used = int(row[0])
    said = 0
    for threshold, kind in THRESHOLDS:
        if used * 100 < threshold * quota.included_checks:
            break
        key = f"{quota.period.id}:{quota.plan.code}:{threshold}"
        with transaction.atomic():
            notice = notify(
                tenant_id=tenant_id, kind=kind, dedupe_key=key, context=_context(quota, threshold, used, now)
            )
            if notice is not None:
                facts = {"percent": threshold, "used": used, "included": quota.included_checks}
                happened(tenant_id, Happened.THRESHOLD_CROSSED, key, at=now, facts=facts)
        said += notice is not None
    return said


def _context(quota: PlanQuota, threshold: int, used: int, now: datetime) -> dict[str, object]:
    ends_at = quota.period.ends_at
    return {
        "threshold": threshold,
        "used": used,
        "included": quota.included_checks,
        "plan": quota.plan.name,
        "ends_on": f"{ends_at:%-d %B %Y}",
        "days_left": math.ceil((ends_at - now) / timedelta(days=1)),
        "after": _after(quota, used),
    }


def _after(quota: PlanQuota, used: int) -> str:
    """What becomes of checks beyond the included ones."""
    plan = quota.plan
    if quota.cap and used >= quota.cap:
        return "Checks are answered with 402 now, until the period ends."
    if plan.is_capped:
        return f"From {quota.cap:,} checks on, checks are answered with 402 until the period ends."
    if not plan.overage_cents:
        return "Further checks are billed as your contract says."
    price = f"Every further {OVERAGE_UNIT:,} checks cost ${plan.overage_cents / 100:g}"
    if quota.spend_cap_cents is None:
        return f"{price}."
    return f"{price}, up to your spend cap; from {quota.cap:,} checks on they are answered with 402."
