"""The bill as it stands, line by line, and the hours that it is made of."""

import csv
from datetime import datetime
from io import StringIO

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.billing.rating import BilledPeriod
from apps.billing.selectors import StatedBill, advice_for, bills_of, forecast_of, usage_by_day, usage_by_hour
from apps.core.scope import tenant_scope
from apps.plans.selectors import plan_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission


@require_safe
@never_cache
@member_view(Permission.BILLING_VIEW, opens_scope=False)
def bill(request: TenantRequest) -> HttpResponse:
    """Of the period that `?period=` names by its first hour, of the current one without it."""
    tenant, now = request.tenant, timezone.now()
    with tenant_scope(tenant.id):
        bills = bills_of(tenant.id, now=now)
        shown = _asked(bills, request.GET.get("period", ""))
        days = usage_by_day(shown.bill.period)
        forecast = forecast_of(tenant.id, shown, now=now) if shown is bills[0] else None
    context = {
        "section": "bill", "shown": shown, "bills": bills, "forecast": forecast, "is_current": shown is bills[0],
        "days": sorted(days.items()), "most": max(days.values(), default=0),
        "advice": advice_for(shown) if shown is bills[0] else None, "plan": plan_of(tenant.id),
    }  # fmt: skip
    return render(request, "billing/bill.html", context)


@require_safe
@member_view(Permission.BILLING_VIEW, opens_scope=False)
def bill_csv(request: TenantRequest) -> HttpResponse:
    """The period's hours, whose sum is what the bill counts."""
    tenant, now = request.tenant, timezone.now()
    with tenant_scope(tenant.id):
        shown = _asked(bills_of(tenant.id, now=now), request.GET.get("period", ""))
        hours = usage_by_hour(shown.bill.period)
    text = StringIO()
    rows = csv.writer(text)
    rows.writerow(["hour", "billable_checks"])
    rows.writerows([hour.isoformat(), units] for hour, units in sorted(hours.items()))
    name = f"{tenant.slug}-{_name(shown.bill.period)}.csv"
    return HttpResponse(
        text.getvalue(), content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


def _asked(bills: list[StatedBill], text: str) -> StatedBill:
    """Raises Http404."""
    if not text:
        return bills[0]
    try:
        starts_at = datetime.fromisoformat(text)
    except ValueError:
        raise Http404("that is no period") from None
    for stated in bills:
        if stated.bill.period.starts_at == starts_at:
            return stated
    raise Http404("there is no such period")


def _name(period: BilledPeriod) -> str:
    return f"{period.starts_at:%Y-%m-%dT%H}"
