"""How fast a tenant uses up what its plan includes, and where that ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min, Q, Sum

from apps.analytics.models import CheckHour
from apps.analytics.ranges import DAY, HOUR
from apps.plans.selectors import PlanQuota

RECENT = 7 * DAY


@dataclass(frozen=True, slots=True)
class Usage:
    """Billable checks that ingest has counted: in the billing period, and a second over the last seven days."""

    used: int
    a_second: float


@dataclass(frozen=True, slots=True)
class Burn:
    """`forecast` is of the whole period, at the pace of the last seven days; `runs_out_at` is when that pace meets
    `limit`, None where it does not within the period. `limit` is what is included, or where checks end (`is_hard`).
    """

    used: int
    limit: int
    per_day: float
    forecast: int
    runs_out_at: datetime | None
    is_hard: bool


def usage(*, quota: PlanQuota, now: datetime) -> Usage:
    """Inside the tenant's scope."""
    since = min(quota.period.starts_at, now - RECENT)
    sums = CheckHour.objects.filter(at__gte=since, at__lt=now).aggregate(
        used=Sum("billable", filter=Q(at__gte=quota.period.starts_at)),
        recent=Sum("billable", filter=Q(at__gte=now - RECENT)),
        first=Min("at", filter=Q(at__gte=now - RECENT)),
    )
    looked = now - sums["first"] if sums["first"] else RECENT
    recent = int(sums["recent"] or 0) if looked >= DAY else 0  # less than a day is no pace
    return Usage(int(sums["used"] or 0), recent / max(looked, HOUR).total_seconds())


def burn(*, quota: PlanQuota, counted: int, usage: Usage, now: datetime) -> Burn:
    """`counted` is what doors have counted so far this period. Each of the two counts can only be behind."""
    used = max(counted, usage.used)
    left_s = (quota.period.ends_at - now).total_seconds()
    limit = quota.cap or quota.included_checks
    runs_out_at = None
    if usage.a_second and used < limit and (limit - used) / usage.a_second < left_s:
        runs_out_at = now + timedelta(seconds=(limit - used) / usage.a_second)
    return Burn(
        used=used,
        limit=limit,
        per_day=usage.a_second * DAY.total_seconds(),
        forecast=used + round(usage.a_second * left_s),
        runs_out_at=runs_out_at,
        is_hard=bool(quota.cap),
    )
