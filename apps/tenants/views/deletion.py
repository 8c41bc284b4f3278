"""The danger zone: an owner asks for the deletion of the organisation, or takes it back."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import ApplicationError
from apps.core.forms import errors_take
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.forms import DeletionForm
from apps.tenants.permissions import Permission
from apps.tenants.privacy.deletion import GRACE, deletion_ask, deletion_take_back
from apps.tenants.selectors import deletion_open


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.TENANT_DELETE)
def deletion(request: TenantRequest) -> HttpResponse:
    form = DeletionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            deletion_ask(
                tenant_id=request.tenant.id, user_id=request.member.user_id, now=timezone.now(), **form.cleaned_data
            )
        except ApplicationError as error:
            errors_take(form, error)
        else:
            return redirect("tenants:deletion", request.tenant.slug)
    held = deletion_open(request.tenant.id)
    context = {"section": "settings", "form": form, "held": held, "due_at": timezone.now() + GRACE}
    return render(request, "tenants/deletion.html", context, status=422 if form.errors else 200)


@require_POST
@member_view(Permission.TENANT_DELETE)
def restore(request: TenantRequest) -> HttpResponse:
    try:
        deletion_take_back(tenant_id=request.tenant.id, now=timezone.now())
    except ApplicationError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"{request.tenant.name} stays. Its keys work again within a second.")
    return redirect("tenants:settings", request.tenant.slug)
