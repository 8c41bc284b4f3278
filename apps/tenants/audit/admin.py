"""Staff's view of one tenant's audit log, to read."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from apps.tenants.audit.models import AuditEntry
from apps.tenants.staff import ReadOnly, ScopedAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ScopedAdmin, ModelAdmin):  # type: ignore[misc]
    list_display = ("seq", "created_at", "actor_name", "action", "target_name", "via")
    list_filter = ("actor_kind", "target_kind", "via")
    search_fields = ("actor_name", "action", "target_name")
    ordering = ("-seq",)
