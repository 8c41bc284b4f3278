"""Staff's view of money: tenants as customers, and Stripe's own picture of them, which is only read here."""

import json
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from apps.billing.models import Account
from apps.billing.money import MICRO, dollars


class _ReadOnly(ModelAdmin):  # type: ignore[misc]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Account)
class AccountAdmin(_ReadOnly):
    list_display = ("tenant_id", "customer", "status", "ends_at", "seen_at")
    list_filter = ("status",)
    search_fields = ("customer", "subscription", "=tenant_id")
    ordering = ("-tenant_id",)


class _Said(_ReadOnly):
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
        return dollars(thing.stripe_data["total"] * MICRO)


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
