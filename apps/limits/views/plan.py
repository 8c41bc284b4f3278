"""The plan: what it includes, how much of it is used this period, and where spending stops."""

from decimal import Decimal

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.core.errors import ApplicationError
from apps.core.forms import errors_take
from apps.core.scope import tenant_scope
from apps.limits.quotas import quota_count
from apps.limits.selectors import sharding_of
from apps.plans.cards import plan_card
from apps.plans.forms import SpendCapForm
from apps.plans.selectors import contract_ends_at, quota_of, trial_ends_at
from apps.plans.services import spend_cap_set
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_view(Permission.BILLING_VIEW, opens_scope=False)
def plan(request: TenantRequest) -> HttpResponse:
    """Posting sets the spend cap, with a role that may change what is paid."""
    tenant = request.tenant
    quota = quota_of(tenant.id, timezone.now())
    cap = quota.spend_cap_cents
    form = SpendCapForm(request.POST or None, initial={"spend_cap": None if cap is None else Decimal(cap) / 100})
    if request.method == "POST":
        if not request.member.may(Permission.BILLING_EDIT):
            raise PermissionDenied(f"Your role here is {request.member.role}; it does not change what is paid.")
        if _cap_set(request, form):
            return redirect("limits:plan", tenant.slug)
    with tenant_scope(tenant.id):
        sharding = sharding_of(tenant.id)
    used = quota_count(tenant_id=tenant.id, period=quota.period, sharding=sharding)
    context = {
        "section": "plan", "plan": quota.plan, "card": plan_card(quota.plan), "quota": quota, "used": used,
        "trial_ends_at": trial_ends_at(tenant.id), "contract_ends_at": contract_ends_at(tenant.id),
        "form": form, "beyond": max(0, used - quota.included_checks),
    }  # fmt: skip
    return render(request, "plan/page.html", context, status=422 if form.errors else 200)


def _cap_set(request: TenantRequest, form: SpendCapForm) -> bool:
    if not form.is_valid():
        return False
    try:
        spend_cap_set(tenant_id=request.tenant.id, cents=form.cents())
    except ApplicationError as error:
        errors_take(form, error)
        return False
    words = "There is no spend cap any more." if form.cents() is None else "The spend cap is set."
    messages.success(request, f"{words} It is on its way to the doors.")
    return True
