"""How fast a tenant uses up what its plan includes, and where that ends. Inside the tenant's scope."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min, Q, Sum

from apps.analytics.models import CheckHour
from apps.analytics.ranges import DAY, HOUR
from apps.plans.selectors import PlanQuota

RECENT = 7 * DAY


@dataclass(frozen=True, slots=True)
class Burn:
    """Billable checks. `forecast` is of the whole period, at the pace of the last seven days; `runs_out_at` is when
    that pace meets `limit`, None where it does not within the period. `limit` is what is included, or where checks end.
    """

    used: int
    limit: int
    per_day: float
    forecast: int
    runs_out_at: datetime | None
    is_hard: bool


def burn(*, quota: PlanQuota, counted: int, now: datetime) -> Burn:
    """`counted` is what doors have counted so far this period. Each of the two counts can only be behind."""
    since = min(quota.period.starts_at, now - RECENT)
    sums = CheckHour.objects.filter(at__gte=since, at__lt=now).aggregate(
        used=Sum("billable", filter=Q(at__gte=quota.period.starts_at)),
        recent=Sum("billable", filter=Q(at__gte=now - RECENT)),
        first=Min("at", filter=Q(at__gte=now - RECENT)),
    )
    used = max(counted, int(sums["used"] or 0))
    looked = now - sums["first"] if sums["first"] else RECENT
    a_second = int(sums["recent"] or 0) / max(looked, HOUR).total_seconds()
    left_s = (quota.period.ends_at - now).total_seconds()
    limit = quota.cap or quota.included_checks
    runs_out_at = None
    if a_second and used < limit and (limit - used) / a_second < left_s:
        runs_out_at = now + timedelta(seconds=(limit - used) / a_second)
    return Burn(
        used=used,
        limit=limit,
        per_day=a_second * DAY.total_seconds(),
        forecast=used + round(a_second * left_s),
        runs_out_at=runs_out_at,
        is_hard=bool(quota.cap),
    )
