"""Staff's view of one tenant's keys: what their owner sees, and revoking. No secret, no digest."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from apps.apikeys.models import ApiKey
from apps.apikeys.services import key_revoke
from apps.tenants.staff import ScopedAdmin


@admin.register(ApiKey)
class ApiKeyAdmin(ScopedAdmin, ModelAdmin):  # type: ignore[misc]
    list_display = ("name", "prefix", "last_four", "live", "scopes", "expires_at", "revoked_at", "created_at")
    fields = readonly_fields = list_display
    search_fields = ("name", "last_four")
    ordering = ("-id",)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a secret is for its owner's eyes

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Revoke: refuse with 401 for good")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        tenant = self.tenant_of(request)
        for key in queryset:
            key_revoke(tenant_id=tenant.id, key_id=key.id, now=timezone.now())
            self.log_change(request, key, f"Revoked, tenant {tenant.slug}.")
        messages.success(request, "Revoked.")
