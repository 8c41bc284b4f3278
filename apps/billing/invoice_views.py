"""Invoices and the card that pays them; and the way to Stripe's page for the card and back."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.billing.accounts import account_sync, contact_set
from apps.billing.forms import AlertsForm, ContactForm
from apps.billing.gateways.errors import StripeRefused, StripeUnknown
from apps.billing.gateways.stripe import gateway
from apps.billing.invoices import card_of, contact_of, invoices_of
from apps.billing.selectors import account_of
from apps.billing.spending import alerts_of, alerts_set
from apps.core.errors import ApplicationError
from apps.core.forms import errors_take
from apps.core.scope import tenant_scope
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission


@require_safe
@never_cache
@member_view(Permission.BILLING_VIEW, opens_scope=False)
def invoices(request: TenantRequest) -> HttpResponse:
    return _page(request)


@require_POST
@never_cache
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def alerts(request: TenantRequest) -> HttpResponse:
    form = AlertsForm(request.POST)
    if not form.is_valid():
        return _page(request, alerts=form)
    try:
        alerts_set(tenant_id=request.tenant.id, cents=form.cleaned_data["alerts"])
    except ApplicationError as error:
        errors_take(form, error)
        return _page(request, alerts=form)
    messages.success(
        request, "The spend alerts are set." if form.cleaned_data["alerts"] else "There are no spend alerts."
    )
    return redirect("billing:invoices", request.tenant.slug)


@require_POST
@never_cache
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def contact(request: TenantRequest) -> HttpResponse:
    """Whom Stripe writes to."""
    form, account = ContactForm(request.POST), account_of(request.tenant.id)
    if account is None:
        messages.info(request, "Nothing has been bought yet, so there are no invoices.")
        return redirect("billing:invoices", request.tenant.slug)
    if not form.is_valid():
        return _page(request, contact=form)
    try:
        contact_set(gateway(), tenant_id=request.tenant.id, customer=account.customer, email=form.cleaned_data["email"])
        _look(account.customer)
    except StripeRefused as error:
        form.add_error("email", str(error))
        return _page(request, contact=form)
    except StripeUnknown:
        messages.error(request, "Stripe cannot be reached right now. Look here again before you try once more.")
    else:
        messages.success(request, f"Invoices go to {form.cleaned_data['email']}.")
    return redirect("billing:invoices", request.tenant.slug)


@require_POST
@member_view(Permission.BILLING_EDIT, opens_scope=False)
def payment_portal(request: TenantRequest) -> HttpResponse:
    """To Stripe's page for cards, addresses, tax ids and the end of the subscription."""
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
    account = account_of(request.tenant.id)
    if account is not None:
        try:
            _look(account.customer)
            account_sync(gateway(), customer=account.customer, now=timezone.now())
        except (StripeUnknown, StripeRefused):
            messages.warning(request, "What you changed shows here in a moment.")
    return redirect("billing:invoices", request.tenant.slug)


def _page(
    request: TenantRequest, *, alerts: AlertsForm | None = None, contact: ContactForm | None = None
) -> HttpResponse:
    tenant, is_wrong = request.tenant, bool(alerts or contact)
    with tenant_scope(tenant.id):
        found, card, known = invoices_of(tenant.id), card_of(tenant.id, now=timezone.now()), contact_of(tenant.id)
    context = {
        "section": "bill", "invoices": found, "card": card, "account": account_of(tenant.id), "contact": known,
        "can_pay": bool(settings.STRIPE_SECRET_KEY),
        "alerts_form": alerts or AlertsForm(initial={"alerts": ", ".join(map(_dollars, alerts_of(tenant.id)))}),
        "contact_form": contact or ContactForm(initial={"email": known.email if known else ""}),
    }  # fmt: skip
    return render(request, "billing/invoices.html", context, status=422 if is_wrong else 200)


def _dollars(cents: int) -> str:
    return f"{cents / 100:.2f}".removesuffix(".00")


def _look(customer: str) -> None:
    """At Stripe, so that the next page shows what was just changed."""
    from apps.billing.mirroring import mirror_sync  # with dj-stripe, which takes half a second to load

    mirror_sync(gateway(), customer=customer, now=timezone.now())
