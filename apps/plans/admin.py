"""Staff's view of the price list, and who is on which plan."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from apps.plans.models import Contract, Plan, TenantPlan
from apps.plans.services import plan_changed, plan_set


class ContractInline(TabularInline):  # type: ignore[misc]
    model = Contract
    autocomplete_fields = ("tenant",)


@admin.register(Plan)
class PlanAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("name", "code", "price_cents", "included_checks", "overage_cents", "is_listed")
    search_fields = ("name", "code")
    ordering = ("price_cents",)
    inlines = (ContractInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Plan, form: Form, change: bool) -> None:  # noqa: FBT001
        super().save_model(request, obj, form, change)
        plan_changed(code=obj.code)


@admin.register(TenantPlan)
class TenantPlanAdmin(ModelAdmin):  # type: ignore[misc]
    """A tenant that is not listed is on the free plan."""

    list_display = ("tenant", "plan", "since_at", "spend_cap_cents")
    list_filter = ("plan",)
    list_select_related = ("tenant", "plan")
    search_fields = ("tenant__slug", "tenant__name")
    autocomplete_fields = ("tenant",)
    fields = ("tenant", "plan")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("tenant",) if obj else ()

    def save_model(self, request: HttpRequest, obj: TenantPlan, form: Form, change: bool) -> None:  # noqa: FBT001
        plan_set(tenant_id=obj.tenant_id, code=obj.plan_id)

    def delete_model(self, request: HttpRequest, obj: TenantPlan) -> None:
        plan_set(tenant_id=obj.tenant_id, code="free")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[TenantPlan]) -> None:
        for held in queryset:
            self.delete_model(request, held)
