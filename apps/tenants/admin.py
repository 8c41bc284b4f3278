"""Staff's view of the shared schema: tenants, people, cells. Changes go through the services."""

from functools import partial
from typing import Any, cast

from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm

from apps.core.errors import ApplicationError
from apps.tenants.models import Cell, Membership, Tenant, User
from apps.tenants.services import membership_put, membership_remove, tenant_suspend, tenant_update
from apps.tenants.staff import staff_tenant_pick
from apps.tenants.staff_looking import look_end_view, look_view

admin.site.unregister(Group)  # roles are memberships; staff are superusers

# Second steps are taken away by mfa_reset only, which says so in the audit log and ends what was begun with them.
admin.site.unregister(Authenticator)


class MembershipInline(TabularInline):  # type: ignore[misc]
    """To read; changes are made on the membership itself, where the last owner is protected."""

    model = Membership
    extra = 0
    can_delete = False
    fields = readonly_fields = ("user", "role", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Tenant)
class TenantAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("name", "slug", "cell", "timezone", "suspended_at", "created_at")
    search_fields = ("name", "slug", "memberships__user__email")
    list_filter = ("cell",)
    list_select_related = ("cell",)
    ordering = ("-id",)
    fields = ("name", "timezone", "slug", "cell", "revision", "suspended_at", "created_at")
    readonly_fields = ("slug", "cell", "revision", "suspended_at", "created_at")
    inlines = (MembershipInline,)
    actions = ("open_scope", "suspend", "resume")
    actions_detail = ("look",)

    def get_urls(self) -> list[Any]:
        guard = self.admin_site.admin_view
        return [
            path("<int:tenant_id>/look", guard(partial(look_view, model_admin=self)), name="tenants_look"),
            path("look/end", guard(look_end_view), name="tenants_look_end"),
            *super().get_urls(),
        ]

    @action(description="See it as a member", url_path="see")  # type: ignore[untyped-decorator]
    def look(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:tenants_look", args=[object_id]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a tenant needs a seat in a cell: sign-up or manage.py tenant_create

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Tenant, form: Form, change: bool) -> None:  # noqa: FBT001
        tenant_update(tenant_id=obj.id, name=obj.name, timezone=obj.timezone)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return _explained(request, super().changeform_view, *args, **kwargs)

    @admin.action(description="Open keys and rules")
    def open_scope(self, request: HttpRequest, queryset: QuerySet[Tenant]) -> HttpResponse | None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            messages.warning(request, "Tick exactly one tenant.")
            return None
        staff_tenant_pick(request, chosen[0].id)
        self.log_change(request, chosen[0], "Opened keys and rules.")
        return HttpResponseRedirect(reverse("admin:limits_rule_changelist"))

    @admin.action(description="Suspend: refuse all keys with 403")
    def suspend(self, request: HttpRequest, queryset: QuerySet[Tenant]) -> None:
        self._suspend_all(request, queryset, "Suspended.")

    @admin.action(description="Lift the suspension")
    def resume(self, request: HttpRequest, queryset: QuerySet[Tenant]) -> None:
        self._suspend_all(request, queryset, "Suspension lifted.")

    def _suspend_all(self, request: HttpRequest, queryset: QuerySet[Tenant], words: str) -> None:
        at = timezone.now() if words == "Suspended." else None
        for tenant in queryset:
            try:
                tenant_suspend(tenant_id=tenant.id, at=at)
            except ApplicationError as error:
                messages.error(request, f"{tenant.slug}: {error.detail}")
                return
            self.log_change(request, tenant, words)
        messages.success(request, words)


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("user", "tenant", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "tenant")
    search_fields = ("user__email", "tenant__slug", "tenant__name")
    autocomplete_fields = ("user", "tenant")
    ordering = ("-id",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("user", "tenant") if obj else ()

    def save_model(self, request: HttpRequest, obj: Membership, form: Form, change: bool) -> None:  # noqa: FBT001
        membership_put(tenant_id=obj.tenant_id, user_id=obj.user_id, role=obj.role)
        obj.pk = Membership.objects.get(tenant_id=obj.tenant_id, user_id=obj.user_id).pk

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        membership_remove(tenant_id=obj.tenant_id, user_id=obj.user_id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        with transaction.atomic():
            for membership in queryset:
                self.delete_model(request, membership)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return _explained(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return _explained(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return _explained(request, super().changelist_view, *args, **kwargs)


class UserCreationForm(BaseUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email",)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_staff", "last_login", "date_joined")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email", "name")
    ordering = ("-id",)
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("email", "name", "is_active", "is_staff", "is_superuser", "last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "password1", "password2")}),)
    readonly_fields = ("last_login", "date_joined")


@admin.register(Cell)
class CellAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("schema_name", "region", "tenant_count", "capacity", "is_open", "created_at")
    fields = ("schema_name", "region", "tenant_count", "capacity", "is_open", "created_at")
    readonly_fields = ("schema_name", "region", "tenant_count", "created_at")
    search_fields = ("schema_name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # made by the owner's role: manage.py cells_ensure

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Cell, form: Form, change: bool) -> None:  # noqa: FBT001
        """TenantMixin.save would look at schemas, which only the owner's role may."""
        Cell.objects.filter(pk=obj.pk).update(capacity=obj.capacity, is_open=obj.is_open)


def _explained(request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> HttpResponse:
    """What a service refuses becomes a sentence on the page it came from."""
    try:
        return cast("HttpResponse", view(request, *args, **kwargs))
    except ApplicationError as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(request.get_full_path())
