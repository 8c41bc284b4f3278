"""Buying a plan, changing it and taking that back; and the way to Stripe's checkout and back."""

from email.utils import parseaddr

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.billing.accounts import account_sync, checkout_begin
from apps.billing.changes import Offer, When, change_offer, plan_change, plan_keep
from apps.billing.gateways.errors import StripeRefused, StripeUnknown
from apps.billing.gateways.stripe import gateway
from apps.billing.losses import losses_of
from apps.billing.selectors import account_of
from apps.core.errors import ApplicationError
from apps.plans.cards import plan_card
from apps.plans.selectors import plan_of, plans_for, trial_ends_at, trial_for
from apps.plans.services import trial_begin
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

UNREACHABLE = "The page for payment cannot be reached right now."


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
            messages.error(request, f"{UNREACHABLE} Nothing was bought.")
        return redirect("billing:plans", tenant.slug)
    current, account = plan_of(tenant.id), account_of(tenant.id)
    cards = [
        (plan_card(plan), plan, losses_of(tenant_id=tenant.id, current=current, plan=plan))
        for plan in plans_for(tenant.id)
    ]
    context = {
        "section": "plan", "current": current, "cards": cards, "account": account,
        "trial": trial_for(tenant.id), "trial_ends_at": trial_ends_at(tenant.id),
        "sales_email": parseaddr(settings.SALES_EMAIL)[1],
        "can_buy": bool(settings.STRIPE_SECRET_KEY), "is_paying": account is not None and account.is_paying,
    }  # fmt: skip
    return render(request, "billing/plans.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def change(request: TenantRequest, code: str) -> HttpResponse:
    """What changing to the plan would mean, to the cent; posting it does it."""
    tenant, now = request.tenant, timezone.now()
    try:
        if request.method == "POST":
            _said(request, plan_change(gateway(), tenant_id=tenant.id, code=code, now=now))
            return redirect("limits:plan", tenant.slug)
        offer = change_offer(tenant_id=tenant.id, code=code, now=now)
    except ApplicationError as error:
        messages.error(request, str(error))
    except StripeRefused as error:
        messages.error(
            request, f"Nothing has changed: {error} The card can be changed under Bill, Invoices and payment."
        )
    except StripeUnknown:
        messages.error(request, f"{UNREACHABLE} Look here again before you try once more.")
    else:
        context = {"section": "plan", "offer": offer, "is_now": offer.when is When.NOW, "now": now}
        return render(request, "billing/change.html", context)
    return redirect("billing:plans", tenant.slug)


@require_POST
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def keep(request: TenantRequest) -> HttpResponse:
    """The present plan instead of what was to come after it."""
    try:
        plan_keep(gateway(), tenant_id=request.tenant.id, now=timezone.now())
    except (ApplicationError, StripeRefused) as error:
        messages.error(request, str(error))
    except StripeUnknown:
        messages.error(request, UNREACHABLE)
    else:
        messages.success(request, f"You keep the {plan_of(request.tenant.id).name} plan.")
    return redirect("billing:plans", request.tenant.slug)


@require_POST
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def trial(request: TenantRequest) -> HttpResponse:
    try:
        plan = trial_begin(tenant_id=request.tenant.id)
    except ApplicationError as error:
        messages.error(request, str(error))
        return redirect("billing:plans", request.tenant.slug)
    messages.success(request, f"You are on the {plan.name} for {plan.lasts_days} days. It is on its way to the doors.")
    return redirect("limits:plan", request.tenant.slug)


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


def _said(request: TenantRequest, offer: Offer) -> None:
    if offer.when is When.NOW:
        messages.success(request, f"You are on the {offer.plan.name} plan. It is on its way to the doors.")
    else:
        messages.success(
            request, f"{offer.plan.name} begins when this period ends; until then {offer.current.name} stays."
        )


def _checkout(request: TenantRequest, code: str) -> str:
    slug = request.tenant.slug
    assert request.user.is_authenticated
    return checkout_begin(
        gateway(), tenant_id=request.tenant.id, code=code, email=request.user.email,
        success_url=settings.PORTAL_URL + reverse("billing:bought", args=[slug]),
        cancel_url=settings.PORTAL_URL + reverse("billing:plans", args=[slug]),
    )  # fmt: skip
