"""The staff's page on which they begin to see an organisation as one of its members, and where they stop."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.core.errors import ApplicationError, NotFound
from apps.core.forms import errors_take
from apps.tenants.looking import LASTS, look_begin, look_end, look_forget, look_keep, look_of
from apps.tenants.selectors import TenantInfo, members_of_tenant, tenant_get


class LookForm(forms.Form):
    member = forms.TypedChoiceField(coerce=int, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(help_text="The organisation reads it in its audit log.", widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, tenant: TenantInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["member"].choices = [  # type: ignore[attr-defined]
            (one.user_id, f"{one.email}, {one.role}") for one in members_of_tenant(tenant.id)
        ]


@require_http_methods(["GET", "HEAD", "POST"])
def look_view(request: HttpRequest, tenant_id: int, *, model_admin: Any) -> HttpResponse:
    try:
        tenant = tenant_get(tenant_id)
    except NotFound:
        raise Http404 from None
    form = LookForm(request.POST or None, tenant=tenant)
    if form.is_valid():
        user_id = form.cleaned_data["member"]
        try:
            until = look_begin(
                tenant_id=tenant.id, user_id=user_id, reason=form.cleaned_data["reason"], now=timezone.now()
            )
        except ApplicationError as error:
            errors_take(form, error)
        else:
            look_keep(request, tenant_id=tenant.id, user_id=user_id, until=until)
            return redirect("analytics:overview", tenant.slug)
    context = {
        **model_admin.admin_site.each_context(request), "opts": model_admin.opts, "form": form, "tenant": tenant,
        "title": f"See {tenant.name} as a member", "minutes": LASTS.seconds // 60,
    }  # fmt: skip
    return TemplateResponse(request, "staff/look.html", context)


@require_POST
def look_end_view(request: HttpRequest) -> HttpResponse:
    look = look_of(request)
    look_forget(request)
    if look is None:
        messages.info(request, "It was over already.")
        return redirect("admin:tenants_tenant_changelist")
    look_end(tenant_id=look.tenant_id, user_id=look.user.id)
    return redirect("admin:tenants_tenant_change", look.tenant_id)
