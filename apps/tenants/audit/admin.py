"""Staff's view of one tenant's audit log, to read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from apps.tenants.audit.models import AuditEntry
from apps.tenants.staff import ScopedAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(ScopedAdmin, ModelAdmin):  # type: ignore[misc]
    list_display = ("seq", "created_at", "actor_name", "action", "target_name", "via")
    list_filter = ("actor_kind", "target_kind", "via")
    search_fields = ("actor_name", "action", "target_name")
    ordering = ("-seq",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
