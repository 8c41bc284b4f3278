"""Invoices and the card that pays them; and the way to Stripe's page for the card and back."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.billing.accounts import account_sync
from apps.billing.gateways.errors import StripeRefused, StripeUnknown
from apps.billing.gateways.stripe import gateway
from apps.billing.invoices import card_of, invoices_of
from apps.billing.selectors import account_of
from apps.core.scope import tenant_scope
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission


@require_safe
@never_cache
@member_view(Permission.BILLING_VIEW, opens_scope=False)
def invoices(request: TenantRequest) -> HttpResponse:
    tenant = request.tenant
    with tenant_scope(tenant.id):
        found, card = invoices_of(tenant.id), card_of(tenant.id, now=timezone.now())
    context = {
        "section": "bill", "invoices": found, "card": card, "account": account_of(tenant.id),
        "can_pay": bool(settings.STRIPE_SECRET_KEY),
    }  # fmt: skip
    return render(request, "billing/invoices.html", context)


@require_POST
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def payment_portal(request: TenantRequest) -> HttpResponse:
    """To Stripe's page for cards, addresses and tax ids."""
    account = account_of(request.tenant.id)
    if account is None:
        messages.info(request, "Nothing has been bought yet, so there is nothing to pay.")
        return redirect("billing:invoices", request.tenant.slug)
    back = settings.PORTAL_URL + reverse("billing:payment_changed", args=[request.tenant.slug])
    try:
        return redirect(gateway().portal_url(customer=account.customer, return_url=back))
    except (StripeUnknown, StripeRefused):
        messages.error(request, "The page for payment cannot be reached right now.")
        return redirect("billing:invoices", request.tenant.slug)


@require_safe
@never_cache
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def payment_changed(request: TenantRequest) -> HttpResponse:
    """Where Stripe's page leads back to. Stripe is asked at once, so that nobody waits for its news."""
    from apps.billing.mirroring import mirror_sync  # with dj-stripe, which takes half a second to load

    account = account_of(request.tenant.id)
    if account is not None:
        try:
            mirror_sync(gateway(), customer=account.customer, now=timezone.now())
            account_sync(gateway(), customer=account.customer, now=timezone.now())
        except (StripeUnknown, StripeRefused):
            messages.warning(request, "What you changed shows here in a moment.")
    return redirect("billing:invoices", request.tenant.slug)
