"""The channels that a tenant has connected."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.notifications.channels.table import MEDIUMS
from apps.notifications.selectors import channels_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission


@require_safe
@member_view(Permission.VIEW)
def channels(request: TenantRequest) -> HttpResponse:
    context = {"section": "notifications", "channels": channels_of(request.tenant.id), "mediums": MEDIUMS.values()}
    return render(request, "notifications/channels.html", context)
