"""Staff's view of announcements, and of one tenant's channels and deliveries, to read."""

from typing import Any

from django.contrib import admin
from django.forms import Form
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from apps.notifications.announcing import announcement_put
from apps.notifications.house.models import Announcement
from apps.notifications.models import Channel, Delivery
from apps.tenants.staff import ReadOnly, ScopedAdmin


@admin.register(Announcement)
class AnnouncementAdmin(ModelAdmin):  # type: ignore[misc]
    """Saving says it: every change of title, text or state is a new edition, which all concerned hear of."""

    list_display = ("title", "component", "state", "is_public", "edition", "is_told", "created_at")
    list_filter = ("state", "component")
    ordering = ("-id",)
    fields = ("title", "body", "state", "component", "is_public", "tenant_ids")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it was said; resolve it instead

    def save_model(self, request: HttpRequest, obj: Announcement, form: Form, change: bool) -> None:  # noqa: FBT001
        obj.pk = announcement_put(
            announcement_id=obj.pk if change else None, title=obj.title, body=obj.body, state=obj.state,
            component=obj.component, is_public=obj.is_public, tenant_ids=obj.tenant_ids, now=timezone.now(),
        )  # fmt: skip


class ReadOnlyAdmin(ReadOnly, ScopedAdmin, ModelAdmin):  # type: ignore[misc]
    """What tenants do themselves, to be looked at."""

    ordering = ("-id",)


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin):
    list_display = ("name", "medium", "label", "verified_at", "failures", "disabled_at")
    exclude = ("secret", "code_nonce")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("kind", "dedupe_key", "channel_id", "status", "attempts", "reason", "created_at")
    list_filter = ("status", "kind")
