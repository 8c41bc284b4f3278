"""Keys: list, make, rotate, revoke; and opening another organisation, which comes with its first key."""

from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from apps.apikeys.accounts import FIRST_KEY_S
from apps.apikeys.forms import KeyForm, RotateForm
from apps.apikeys.handover import secret_drop, secret_put, secret_take, workspace
from apps.apikeys.selectors import KeyInfo, key_get, keys_of
from apps.apikeys.services import KeyIssued, key_create, key_revoke, key_rotate, organisation_open
from apps.core.errors import ApplicationError, NotFound
from apps.core.forms import errors_take
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.forms import TenantForm
from apps.tenants.permissions import ROLE_PERMISSIONS, Permission

NEW_KEY_S = 300
PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class KeyRow:
    key: KeyInfo
    is_active: bool


@require_safe
@member_view(Permission.VIEW)
def keys(request: TenantRequest) -> HttpResponse:
    now = timezone.now()
    rows = [KeyRow(key, key.is_active(now)) for key in keys_of(request.tenant.id)]
    active = [row for row in rows if row.is_active]
    show_all = request.GET.get("show") == "all"
    page = Paginator(rows if show_all else active, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "section": "keys",
        "keys": page.object_list,
        "page": page,
        "show_all": show_all,
        "ended_count": len(rows) - len(active),
    }
    return render(request, "keys/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.KEYS_EDIT)
def create(request: TenantRequest) -> HttpResponse:
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        lifetime = form.lifetime()
        try:
            issued = key_create(
                tenant_id=request.tenant.id,
                name=form.cleaned_data["name"],
                live=form.cleaned_data["kind"] == "live",
                scopes=form.cleaned_data["scopes"],
                expires_at=timezone.now() + lifetime if lifetime else None,
                created_by_id=request.member.user_id,
                granted_by=ROLE_PERMISSIONS[request.member.role],
            )
        except ApplicationError as error:
            errors_take(form, error)
        else:
            return _made_redirect(request, issued)
    return render(request, "keys/create.html", {"section": "keys", "form": form}, status=422 if form.errors else 200)


@require_safe
@never_cache
@member_view(Permission.KEYS_EDIT)
def made(request: TenantRequest, key_id: int) -> HttpResponse:
    """Shows the secret and forgets it; a second look finds none."""
    key = _key_or_404(request, key_id)
    secret = secret_take(request, workspace(request.tenant.slug))
    if secret is not None and not secret.endswith(key.last_four):
        secret = None
    response = render(request, "keys/made.html", {"section": "keys", "key": key, "secret": secret})
    secret_drop(response, workspace(request.tenant.slug))
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.KEYS_EDIT)
def rotate(request: TenantRequest, key_id: int) -> HttpResponse:
    key = _key_or_404(request, key_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            issued = key_rotate(
                tenant_id=request.tenant.id,
                key_id=key.id,
                overlap=form.duration(),
                now=timezone.now(),
                created_by_id=request.member.user_id,
                granted_by=ROLE_PERMISSIONS[request.member.role],
            )
        except ApplicationError as error:
            errors_take(form, error)
        else:
            return _made_redirect(request, issued)
    context = {"section": "keys", "key": key, "form": form}
    return render(request, "keys/rotate.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.KEYS_EDIT)
def revoke(request: TenantRequest, key_id: int) -> HttpResponse:
    key = _key_or_404(request, key_id)
    if request.method != "POST":
        return render(request, "keys/revoke.html", {"section": "keys", "key": key})
    key_revoke(tenant_id=request.tenant.id, key_id=key.id, now=timezone.now())
    messages.success(request, f"{key.name} ({key.masked}) is revoked.")
    return redirect("apikeys:keys", request.tenant.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def organisation_create(request: HttpRequest) -> HttpResponse:
    """Everybody with an account may; the creator becomes its owner."""
    form = TenantForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                opened = organisation_open(user_id=request.user.id or 0, **form.cleaned_data)
        except ApplicationError as error:
            errors_take(form, error)
        else:
            response = redirect("limits:onboarding", opened.tenant.slug)
            secret_put(response, workspace(opened.tenant.slug), secret=opened.secret, max_age_s=FIRST_KEY_S)
            return response
    return render(request, "tenants/create.html", {"form": form}, status=422 if form.errors else 200)


def _made_redirect(request: TenantRequest, issued: KeyIssued) -> HttpResponse:
    response = redirect("apikeys:made", request.tenant.slug, issued.key.id)
    secret_put(response, workspace(request.tenant.slug), secret=issued.secret, max_age_s=NEW_KEY_S)
    return response


def _key_or_404(request: TenantRequest, key_id: int) -> KeyInfo:
    try:
        return key_get(tenant_id=request.tenant.id, key_id=key_id)
    except NotFound:
        raise Http404 from None
