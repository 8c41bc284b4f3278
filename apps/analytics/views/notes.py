"""What a tenant notes itself: deploys on the time axis, and how readable identifiers are kept."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from apps.analytics.asking import zone_asked
from apps.analytics.forms import MarkerForm, PrivacyForm
from apps.analytics.selectors import is_pseudonymised
from apps.analytics.services import marker_create, pseudonymise_set
from apps.core.errors import ApplicationError
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission


@require_POST
@member_view(Permission.RULES_EDIT)
def marker(request: TenantRequest) -> HttpResponse:
    now = timezone.now()
    try:
        zone = zone_asked(request.POST.get("zone") or request.tenant.timezone)
        with timezone.override(zone):
            form = MarkerForm(request.POST, zone=zone, now=now)
            if form.is_valid():
                text = form.cleaned_data["text"]
                marker_create(tenant_id=request.tenant.id, kind="deploy", text=text, at=form.moment())
                messages.success(request, f"{text} is marked.")
            else:
                messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
    except ApplicationError as error:
        messages.error(request, " ".join(error.fields.values()) or error.detail)
    return redirect(_back(request))


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.VIEW)
def privacy(request: TenantRequest) -> HttpResponse:
    """To read with any role, to change with one that edits the organisation."""
    held = is_pseudonymised(request.tenant.id)
    may_edit = request.member.may(Permission.TENANT_EDIT)
    if request.method == "POST":
        if not may_edit:
            raise PermissionDenied(f"Your role here is {request.member.role}; it does not change settings.")
        form = PrivacyForm(request.POST)
        form.is_valid()
        wanted = form.cleaned_data["pseudonymise"]
        pseudonymise_set(tenant_id=request.tenant.id, pseudonymise=wanted)
        messages.success(
            request, "Identifiers are pseudonymised from now on." if wanted else "Identifiers stay readable."
        )
        return redirect("analytics:privacy", request.tenant.slug)
    form = PrivacyForm(initial={"pseudonymise": held})
    context = {"section": "settings", "form": form, "held": held, "may_edit": may_edit}
    return render(request, "analytics/privacy.html", context)


def _back(request: TenantRequest) -> str:
    target = request.POST.get("next", "")
    allowed = url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()})
    return target if allowed else f"/t/{request.tenant.slug}/traffic"
