"""Organisations and one's own account: where to go after login, create, settings."""

from typing import cast

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from apps.core.errors import ApplicationError
from apps.core.forms import errors_take
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.forms import AccountForm, TenantForm
from apps.tenants.models import User
from apps.tenants.permissions import Permission
from apps.tenants.recent import tenant_recent
from apps.tenants.selectors import memberships_of
from apps.tenants.services import tenant_update, user_update


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The organisation that was open last, else the first; who belongs to none makes one."""
    slugs = [place.tenant.slug for place in memberships_of(_user(request).id)]
    if not slugs:
        return redirect("apikeys:organisation_create")
    last = tenant_recent(request)
    return redirect("analytics:overview", last if last in slugs else slugs[0])


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.TENANT_EDIT)
def settings(request: TenantRequest) -> HttpResponse:
    before = {"name": request.tenant.name, "timezone": request.tenant.timezone}
    form = TenantForm(request.POST or None, initial=before)
    if request.method == "POST" and form.is_valid():
        try:
            tenant_update(tenant_id=request.tenant.id, **form.cleaned_data)
        except ApplicationError as error:
            errors_take(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("tenants:settings", request.tenant.slug)
    status = 422 if form.errors else 200
    return render(request, "tenants/settings.html", {"section": "settings", "form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def account(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    form = AccountForm(request.POST or None, initial={"name": user.name})
    if request.method == "POST" and form.is_valid():
        user_update(user_id=user.id, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("tenants:account")
    places = memberships_of(user.id)
    page = {"form": form, "places": places, "has_second_step": is_mfa_enabled(user)}
    return render(request, "tenants/account.html", page, status=422 if form.errors else 200)


def _user(request: HttpRequest) -> User:
    """Behind login_required it is one of ours."""
    return cast("User", request.user)
