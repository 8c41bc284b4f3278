"""Am I protected right now? Refreshes itself in place, at most three seconds behind the doors."""

from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.analytics.burn import burn, usage
from apps.analytics.charts import chart
from apps.analytics.ranges import range_preset
from apps.analytics.selectors import markers, rate_now, series, totals_of
from apps.apikeys.selectors import keys_of
from apps.core.fragments import is_fragment
from apps.core.scope import tenant_scope
from apps.limits.attention import attention
from apps.limits.quotas import quota_count
from apps.limits.selectors import counts_today, live_doors, rules_of, sharding_of
from apps.plans.selectors import quota_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission
from apps.tenants.recent import tenant_remember


@require_safe
@never_cache
@member_view(Permission.VIEW, opens_scope=False)
def overview(request: TenantRequest) -> HttpResponse:
    tenant, now = request.tenant, timezone.now()
    quota = quota_of(tenant.id, now)
    zone = ZoneInfo(tenant.timezone)
    span = range_preset(preset="1h", now=now, retention_days=quota.plan.retention_days, zone=zone)
    with tenant_scope(tenant.id):
        rules, keys, sharding = rules_of(tenant.id), keys_of(tenant.id), sharding_of(tenant.id)
        points, happened, used_before = series(span), markers(span, rules=rules), usage(quota=quota, now=now)
    today, doors = counts_today(tenant_id=tenant.id, now=now), live_doors(tenant.id)
    counted = quota_count(tenant_id=tenant.id, period=quota.period, sharding=sharding)
    burning = burn(quota=quota, counted=counted, usage=used_before, now=now)
    used = burning.used
    context = {
        "section": "overview", "now": now, "today": today, "quota": quota, "used": used, "plan": quota.plan,
        "doors": doors, "rules_on": sum(rule.enabled for rule in rules), "left": max(0, quota.included_checks - used),
        "needs": attention(
            tenant=tenant, rules=rules, keys=keys, doors=doors, today=today, used=used, quota=quota, now=now
        ),
        "hour": totals_of(points), "rate": rate_now(points, now=now), "burn": burning,
        "chart": chart(span, points, markers=happened), "as_table": request.GET.get("view") == "table",
    }  # fmt: skip
    tenant_remember(request)
    name = "live" if is_fragment(request) else "page"
    return render(request, f"analytics/overview/{name}.html", context)
