"""Am I through? Am I protected? Pages about now; both refresh themselves in place."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.apikeys.handover import secret_take
from apps.apikeys.selectors import keys_of
from apps.core.fragments import is_fragment
from apps.core.scope import tenant_scope
from apps.limits.attention import attention
from apps.limits.selectors import counts_today, first_check_seen, live_doors, quota_count, rules_of, sharding_of
from apps.plans.selectors import quota_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission
from apps.tenants.recent import tenant_remember


@require_safe
@never_cache
@member_view(Permission.VIEW, opens_scope=False)
def overview(request: TenantRequest) -> HttpResponse:
    tenant, now = request.tenant, timezone.now()
    with tenant_scope(tenant.id):
        rules, keys, sharding = rules_of(tenant.id), keys_of(tenant.id), sharding_of(tenant.id)
    today = counts_today(tenant_id=tenant.id, now=now)
    doors, quota = live_doors(tenant.id), quota_of(tenant.id, now)
    used = quota_count(tenant_id=tenant.id, period=quota.period, sharding=sharding)
    needs = attention(tenant=tenant, rules=rules, keys=keys, doors=doors, today=today, used=used, quota=quota, now=now)
    context = {
        "section": "overview", "now": now, "today": today, "quota": quota, "used": used, "plan": quota.plan,
        "doors": doors, "needs": needs, "rules_on": sum(rule.enabled for rule in rules),
        "left": max(0, quota.included_checks - used),
    }  # fmt: skip
    tenant_remember(request)
    return render(request, "overview/live.html" if is_fragment(request) else "overview/page.html", context)


@require_safe
@never_cache
@member_view(Permission.VIEW)
def onboarding(request: TenantRequest) -> HttpResponse:
    """The first key's secret comes from the browser that signed up (apikeys.handover), for an hour."""
    tenant = request.tenant
    context = {
        "section": "overview",
        "secret": secret_take(request, slug=tenant.slug),
        "is_through": first_check_seen(tenant_id=tenant.id, now=timezone.now()),
        "has_rules": bool(rules_of(tenant.id)),
    }
    tenant_remember(request)
    return render(request, "onboarding/light.html" if is_fragment(request) else "onboarding/page.html", context)
