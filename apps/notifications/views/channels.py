"""Connecting channels, confirming, changing and leaving them."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core.errors import ApplicationError, NotFound
from apps.core.forms import errors_take
from apps.notifications import channel_services as services
from apps.notifications.channel_forms import ChannelForm, CodeForm, UrlForm
from apps.notifications.channels.table import MEDIUMS
from apps.notifications.delivering import webhooks_allowed
from apps.notifications.kinds import LISTED
from apps.notifications.log import deliveries_of
from apps.notifications.quiet import clock_words
from apps.notifications.selectors import ChannelInfo, channel_get, channels_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

LATEST = 10


@require_safe
@member_view(Permission.VIEW)
def channels(request: TenantRequest) -> HttpResponse:
    context = {
        "section": "notifications",
        "channels": [(channel, MEDIUMS[channel.medium]) for channel in channels_of(request.tenant.id)],
        "mediums": [medium for medium in MEDIUMS.values() if medium.is_offered()],
        "has_webhooks": webhooks_allowed(request.tenant.id),
    }
    return render(request, "notifications/channels.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.TENANT_EDIT)
def create(request: TenantRequest, medium: str) -> HttpResponse:
    if medium not in MEDIUMS or not MEDIUMS[medium].is_offered():
        raise Http404
    form = ChannelForm(request.POST or None, medium=MEDIUMS[medium], is_new=True)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.channel_create(
                tenant_id=request.tenant.id, medium=medium, values=form.values(), given=_given(form),
                owner_id=request.member.user_id, by=_by(request), now=timezone.now(),
            )  # fmt: skip
        except ApplicationError as error:
            errors_take(form, error)
        else:
            return redirect("notifications:channel", request.tenant.slug, made.id)
    context = {
        "section": "notifications",
        "form": form,
        "medium": MEDIUMS[medium],
        "is_forbidden": MEDIUMS[medium].needs_webhooks and not webhooks_allowed(request.tenant.id),
    }
    return render(request, "notifications/channel_new.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_view(Permission.TENANT_EDIT)
def channel(request: TenantRequest, channel_id: int) -> HttpResponse:
    held = _channel_or_404(request, channel_id)
    medium = MEDIUMS[held.medium]
    form = ChannelForm(request.POST or None, medium=medium, is_new=False, initial=_initial(held))
    if request.method == "POST" and form.is_valid():
        try:
            services.channel_update(tenant_id=request.tenant.id, channel_id=held.id, given=_given(form))
        except ApplicationError as error:
            errors_take(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("notifications:channel", request.tenant.slug, held.id)
    return _page(request, held, form)


@require_POST
@member_view(Permission.TENANT_EDIT)
def confirm(request: TenantRequest, channel_id: int) -> HttpResponse:
    held = _channel_or_404(request, channel_id)
    form = CodeForm(request.POST)
    is_right = form.is_valid() and services.code_confirm(
        tenant_id=request.tenant.id, channel_id=held.id, code=form.cleaned_data["code"], now=timezone.now()
    )
    if is_right:
        messages.success(request, f"{held.name} is confirmed.")
    else:
        messages.error(request, "That is not the code, or it has ended. Ask for a new one after a few tries.")
    return redirect("notifications:channel", request.tenant.slug, held.id)


@require_POST
@member_view(Permission.TENANT_EDIT)
def ask(request: TenantRequest, channel_id: int) -> HttpResponse:
    """Sends a test message, or a new code to an address that is not confirmed."""
    return _act(
        request, channel_id, "It is on its way.", services.confirmation_ask, by=_by(request), now=timezone.now()
    )


@require_POST
@member_view(Permission.TENANT_EDIT)
def enable(request: TenantRequest, channel_id: int) -> HttpResponse:
    return _act(request, channel_id, "It is on again.", services.channel_enable)


@require_POST
@member_view(Permission.TENANT_EDIT)
def rotate(request: TenantRequest, channel_id: int) -> HttpResponse:
    return _act(
        request, channel_id, "There is a new key; the old one signs too for 24 hours.", services.webhook_rotate,
        now=timezone.now(),
    )  # fmt: skip


@require_POST
@member_view(Permission.TENANT_EDIT)
def move(request: TenantRequest, channel_id: int) -> HttpResponse:
    url = request.POST.get("url", "")
    return _act(request, channel_id, "Moved. Send a test message to confirm it.", services.webhook_move, url=url)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.TENANT_EDIT)
def delete(request: TenantRequest, channel_id: int) -> HttpResponse:
    held = _channel_or_404(request, channel_id)
    if request.method != "POST":
        return render(request, "notifications/channel_delete.html", {"section": "notifications", "channel": held})
    services.channel_delete(tenant_id=request.tenant.id, channel_id=held.id)
    messages.success(request, f"{held.name} is deleted.")
    return redirect("notifications:channels", request.tenant.slug)


def _act(request: TenantRequest, channel_id: int, done: str, service: Any, **arguments: Any) -> HttpResponse:
    held = _channel_or_404(request, channel_id)
    try:
        service(tenant_id=request.tenant.id, channel_id=held.id, **arguments)
    except NotFound:
        raise Http404 from None
    except ApplicationError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, done)
    return redirect("notifications:channel", request.tenant.slug, held.id)


def _page(request: TenantRequest, held: ChannelInfo, form: ChannelForm) -> HttpResponse:
    is_webhook = held.medium == "webhook"
    context = {
        "section": "notifications",
        "channel": held,
        "medium": MEDIUMS[held.medium],
        "form": form,
        "code_form": CodeForm(),
        "url_form": UrlForm() if is_webhook else None,
        "keys": services.webhook_keys(tenant_id=request.tenant.id, channel_id=held.id) if is_webhook else [],
        "deliveries": deliveries_of(tenant_id=request.tenant.id, channel_id=held.id, limit=LATEST)[:LATEST],
    }
    return render(request, "notifications/channel.html", context, status=422 if form.errors else 200)


def _given(form: ChannelForm) -> services.Settings:
    data = form.cleaned_data
    return services.Settings(
        data["name"], data["kinds"], data.get("quiet_from", "") or "", data.get("quiet_until", "") or ""
    )


def _initial(held: ChannelInfo) -> dict[str, Any]:
    kinds = held.kinds
    if kinds is None:
        kinds = tuple(kind.code for kind in LISTED if held.medium in kind.media)
    return {
        "name": held.name,
        "kinds": list(kinds),
        "quiet_from": clock_words(held.quiet_from),
        "quiet_until": clock_words(held.quiet_until),
    }


def _by(request: TenantRequest) -> str:
    return str(getattr(request.user, "email", ""))


def _channel_or_404(request: TenantRequest, channel_id: int) -> ChannelInfo:
    try:
        return channel_get(tenant_id=request.tenant.id, channel_id=channel_id)
    except NotFound:
        raise Http404 from None
