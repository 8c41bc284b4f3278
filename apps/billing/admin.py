"""Staff's view of money: tenants as customers, and Stripe's own picture of them, which is only read here."""

import json
from contextlib import suppress
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import path
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from apps.billing.business.pages import BusinessPage, CapacityPage
from apps.billing.giving import give, giving_verify
from apps.billing.models import Account, Giving
from apps.billing.money import in_dollars
from apps.core.errors import ApplicationError, NotFound
from apps.core.forms import errors_take
from apps.tenants.selectors import tenant_by_slug, tenant_get
from apps.tenants.staff import ReadOnly


class _OfTenant(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Rows that carry a tenant's number are shown and found by its short name."""

    @admin.display(description="Organisation", ordering="tenant_id")
    def organisation(self, row: Any) -> str:
        try:
            return tenant_get(row.tenant_id).slug
        except NotFound:
            return f"{row.tenant_id}, deleted"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        with suppress(NotFound):
            found |= queryset.filter(tenant_id=tenant_by_slug(search_term.strip()).id)
        return found, may_repeat


@admin.register(Account)
class AccountAdmin(_OfTenant):
    list_display = ("organisation", "customer", "status", "ends_at", "seen_at")
    list_filter = ("status",)
    search_fields = ("customer", "subscription", "=tenant_id")
    ordering = ("-tenant_id",)

    def get_urls(self) -> list[Any]:
        guard = self.admin_site.admin_view
        return [
            path("business", guard(BusinessPage.as_view(model_admin=self)), name="billing_business"),
            path("capacity", guard(CapacityPage.as_view(model_admin=self)), name="billing_capacity"),
            *super().get_urls(),
        ]


class GivingForm(forms.ModelForm):  # type: ignore[type-arg]
    tenant = forms.CharField(
        label="Organisation",
        help_text="Its short name, as in the address of its pages.",
        widget=UnfoldAdminTextInputWidget,
    )
    invoice_number = forms.CharField(
        required=False, help_text="Of a refund: the number on the invoice.", widget=UnfoldAdminTextInputWidget
    )
    dollars = forms.DecimalField(
        max_digits=9, decimal_places=2, help_text="US dollars.", widget=UnfoldAdminDecimalFieldWidget
    )

    class Meta:
        model = Giving
        fields = ("kind", "reason")

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                said["tenant_id"] = tenant_by_slug(said["tenant"]).id
                giving_verify(**self.given())
            except ApplicationError as error:
                errors_take(self, error)
        return said

    def given(self) -> dict[str, Any]:
        said = self.cleaned_data
        return {
            "tenant_id": said["tenant_id"], "kind": said["kind"], "cents": int(said["dollars"] * 100),
            "reason": said["reason"], "invoice_number": said["invoice_number"],
        }  # fmt: skip


@admin.register(Giving)
class GivingAdmin(_OfTenant):
    """Each is given once and stays as it is; what Stripe refused is seen here."""

    form = GivingForm
    list_display = ("made_at", "organisation", "kind", "dollars", "reason", "given_by", "state")
    list_filter = ("kind",)
    search_fields = ("=tenant_id", "reason", "stripe_id", "invoice")
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("tenant", "kind", "invoice_number", "dollars", "reason")
        return (
            "organisation", "kind", "invoice", "dollars", "reason", "given_by", "made_at", "state", "stripe_id",
            "reference",
        )  # fmt: skip

    def save_model(self, request: HttpRequest, obj: Giving, form: GivingForm, change: bool) -> None:  # noqa: FBT001
        assert request.user.is_authenticated
        obj.pk = give(**form.given(), given_by=request.user.email)
        obj.refresh_from_db()

    @admin.display(description="Amount")
    def dollars(self, giving: Giving) -> str:
        return in_dollars(giving.cents)

    @admin.display(description="State")
    def state(self, giving: Giving) -> str:
        if giving.refused:
            return f"refused: {giving.refused}"
        return "given" if giving.done_at else "on its way"


class _Said(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """A thing at Stripe, as Stripe said it last."""

    fields = ("id", "created", "djstripe_updated", "said")
    readonly_fields = fields
    ordering = ("-created",)

    @admin.display(description="What Stripe says")
    def said(self, thing: Any) -> str:
        return format_html("<pre>{}</pre>", json.dumps(thing.stripe_data, indent=2, ensure_ascii=False))

    @admin.display(description="Status")
    def status(self, thing: Any) -> str:
        return str(thing.stripe_data.get("status", ""))


class _Customers(_Said):
    list_display = ("id", "name", "email", "owes", "created")
    search_fields = ("id", "email", "stripe_data__name")

    @admin.display(description="Owes", boolean=True)
    def owes(self, thing: Any) -> bool:
        return bool(thing.stripe_data.get("delinquent"))


class _Subscriptions(_Said):
    list_display = ("id", "customer", "status", "created")
    search_fields = ("id", "customer__id", "stripe_data__status")
    list_select_related = ("customer__subscriber",)


class _Invoices(_Said):
    list_display = ("number", "customer", "status", "total", "created")
    search_fields = ("id", "customer__id", "stripe_data__number", "stripe_data__status")
    list_select_related = ("customer__subscriber",)

    @admin.display(description="Total")
    def total(self, thing: Any) -> str:
        return in_dollars(thing.stripe_data["total"])


class _PaymentMethods(_Said):
    list_display = ("id", "customer", "card", "created")
    search_fields = ("id", "customer__id", "stripe_data__card__last4")
    list_select_related = ("customer__subscriber",)

    @admin.display(description="Card")
    def card(self, thing: Any) -> str:
        card = thing.stripe_data.get("card") or {}
        return " ".join(str(card[name]) for name in ("brand", "last4") if name in card)


if apps.is_installed("djstripe"):
    # Its own pages would write what Stripe answers in the order in which answers come.
    for model in apps.get_app_config("djstripe").get_models():
        if admin.site.is_registered(model):
            admin.site.unregister(model)
    for name, pages in {
        "Customer": _Customers, "Subscription": _Subscriptions, "Invoice": _Invoices, "PaymentMethod": _PaymentMethods,
    }.items():  # fmt: skip
        admin.site.register(apps.get_model("djstripe", name), pages)
