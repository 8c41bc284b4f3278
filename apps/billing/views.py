"""The bill as it stands, line by line, and the hours that it is made of; and the ways to Stripe's pages and back."""

import csv
from datetime import datetime
from io import StringIO

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.billing.accounts import account_sync, checkout_begin
from apps.billing.gateways.errors import StripeRefused, StripeUnknown
from apps.billing.gateways.stripe import gateway
from apps.billing.rating import BilledPeriod
from apps.billing.selectors import StatedBill, account_of, advice_for, bills_of, usage_by_day, usage_by_hour
from apps.core.errors import ApplicationError
from apps.core.scope import tenant_scope
from apps.plans.cards import plan_card
from apps.plans.selectors import plan_of, plans_all
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
    context = {
        "section": "bill", "shown": shown, "bills": bills, "is_current": shown is bills[0],
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


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def plans(request: TenantRequest) -> HttpResponse:
    """What there is; posting a plan's code leads to the page on which it is bought."""
    tenant = request.tenant
    if request.method == "POST":
        try:
            return redirect(_checkout(request, request.POST.get("plan", "")))
        except (ApplicationError, StripeRefused) as error:
            messages.error(request, str(error))
        except StripeUnknown:
            messages.error(request, "The page for payment cannot be reached right now; nothing was bought.")
        return redirect("billing:plans", tenant.slug)
    current, account = plan_of(tenant.id), account_of(tenant.id)
    cards = [(plan_card(plan), plan) for plan in plans_all()]
    context = {
        "section": "plan", "current": current, "cards": cards, "account": account,
        "can_buy": bool(settings.STRIPE_SECRET_KEY), "is_paying": account is not None and account.is_paying,
    }  # fmt: skip
    return render(request, "billing/plans.html", context)


@require_safe
@never_cache
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def bought(request: TenantRequest) -> HttpResponse:
    """Where the page for payment leads back to. Stripe is asked at once, so that nobody waits for its news."""
    account = account_of(request.tenant.id)
    if account is not None:
        try:
            account_sync(gateway(), customer=account.customer, now=timezone.now())
        except (StripeUnknown, StripeRefused):
            messages.warning(request, "Your purchase is being confirmed; this page will say so in a moment.")
        else:
            messages.success(
                request, f"You are on the {plan_of(request.tenant.id).name} plan. It is on its way to the doors."
            )
    return redirect("limits:plan", request.tenant.slug)


@require_POST
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def portal(request: TenantRequest) -> HttpResponse:
    """To the page for cards, invoices and the end of the subscription."""
    account = account_of(request.tenant.id)
    if account is None:
        messages.info(request, "Nothing has been bought yet, so there is nothing to manage.")
        return redirect("billing:plans", request.tenant.slug)
    back = settings.PORTAL_URL + reverse("billing:bought", args=[request.tenant.slug])
    try:
        return redirect(gateway().portal_url(customer=account.customer, return_url=back))
    except (StripeUnknown, StripeRefused):
        messages.error(request, "The page for payment cannot be reached right now.")
        return redirect("billing:plans", request.tenant.slug)


def _checkout(request: TenantRequest, code: str) -> str:
    slug = request.tenant.slug
    assert request.user.is_authenticated
    return checkout_begin(
        gateway(), tenant_id=request.tenant.id, code=code, email=request.user.email,
        success_url=settings.PORTAL_URL + reverse("billing:bought", args=[slug]),
        cancel_url=settings.PORTAL_URL + reverse("billing:plans", args=[slug]),
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
