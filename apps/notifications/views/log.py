"""The log of deliveries: what went where, what was answered, and again by hand."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.core.errors import ApplicationError, NotFound
from apps.notifications.channel_services import redeliver
from apps.notifications.log import STATES, deliveries_of, delivery_page, is_resendable
from apps.notifications.selectors import channels_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

PER_PAGE = 30


@require_safe
@member_view(Permission.TENANT_EDIT)
def log(request: TenantRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    channel_id, before_id = _number(request.GET.get("channel")), _number(request.GET.get("before"))
    rows = deliveries_of(
        tenant_id=request.tenant.id, channel_id=channel_id, state=state, before_id=before_id, limit=PER_PAGE
    )
    context = {
        "section": "notifications",
        "rows": rows[:PER_PAGE],
        "older": rows[PER_PAGE - 1].id if len(rows) > PER_PAGE else None,
        "state": state if state in STATES else "",
        "channel_id": channel_id,
        "channels": channels_of(request.tenant.id),
    }
    return render(request, "notifications/log.html", context)


@require_safe
@member_view(Permission.TENANT_EDIT)
def delivery(request: TenantRequest, delivery_id: int) -> HttpResponse:
    try:
        page = delivery_page(tenant=request.tenant, delivery_id=delivery_id)
    except NotFound:
        raise Http404 from None
    context = {"section": "notifications", "page": page, "is_resendable": is_resendable(page.delivery)}
    return render(request, "notifications/delivery.html", context)


@require_POST
@member_view(Permission.TENANT_EDIT)
def again(request: TenantRequest, delivery_id: int) -> HttpResponse:
    try:
        page = delivery_page(tenant=request.tenant, delivery_id=delivery_id)
        if is_resendable(page.delivery):
            redeliver(tenant_id=request.tenant.id, delivery_id=delivery_id, now=timezone.now())
    except NotFound:
        raise Http404 from None
    except ApplicationError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, "It is on its way again, with the same id.")
    return redirect("notifications:delivery", request.tenant.slug, delivery_id)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 19 else None
