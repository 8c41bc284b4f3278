"""Am I through? The page after sign-up waits for the first check and turns green by itself."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.apikeys.handover import secret_take, workspace
from apps.core.fragments import is_fragment
from apps.limits.selectors import first_check_seen, rules_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission
from apps.tenants.recent import tenant_remember


@require_safe
@never_cache
@member_view(Permission.VIEW)
def onboarding(request: TenantRequest) -> HttpResponse:
    """The first key's secret comes from the browser that signed up (apikeys.handover), for an hour."""
    tenant = request.tenant
    context = {
        "section": "overview",
        "secret": secret_take(request, workspace(tenant.slug)),
        "is_through": first_check_seen(tenant_id=tenant.id, now=timezone.now()),
        "has_rules": bool(rules_of(tenant.id)),
    }
    tenant_remember(request)
    return render(request, "onboarding/light.html" if is_fragment(request) else "onboarding/page.html", context)
