"""What is kept, and for how long; and the page of exports: ask for one, see what became of it, download it."""

from itertools import groupby

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from apps.core.errors import ApplicationError, NotFound
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission
from apps.tenants.privacy.exporting import export_ask, export_link, export_open, exports_of
from apps.tenants.privacy.holdings import retentions
from apps.tenants.selectors import region_of

GROUPS = ("Checks", "Notices", "Keys and rules", "Organisation", "Money")


@require_safe
@member_view(Permission.VIEW)
def retention(request: TenantRequest) -> HttpResponse:
    order = {group: place for place, group in enumerate(GROUPS)}
    rows = sorted(retentions(), key=lambda kept: order[kept.group])
    groups = [(name, list(kept)) for name, kept in groupby(rows, key=lambda kept: kept.group)]
    context = {"section": "settings", "groups": groups, "region": region_of(request.tenant.id)}
    return render(request, "tenants/retention.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.TENANT_EXPORT)
def exports(request: TenantRequest) -> HttpResponse:
    if request.method == "POST":
        try:
            export_ask(tenant_id=request.tenant.id, user_id=request.member.user_id, now=timezone.now())
        except ApplicationError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, "The export is being made. A mail comes when it is ready.")
        return redirect("tenants:exports", request.tenant.slug)
    made = [
        (one, export_link(export_id=one.id, user_id=request.member.user_id) if one.is_there else "")
        for one in exports_of(request.tenant.id)
    ]
    is_making = any(one.done_at is None and one.failed_at is None for one, _ in made)
    context = {"section": "settings", "exports": made, "is_making": is_making}
    return render(request, "tenants/exports.html", context)


@require_GET
@member_view(Permission.TENANT_EXPORT)
def download(request: TenantRequest) -> HttpResponseBase:
    """Without a link, or with one that is too old, back to the page, which has new ones."""
    link = request.GET.get("link", "")
    if not link:
        return redirect("tenants:exports", request.tenant.slug)
    try:
        path = export_open(tenant_id=request.tenant.id, user_id=request.member.user_id, link=link, now=timezone.now())
    except NotFound as error:
        raise Http404(error.detail) from None
    name = f"{request.tenant.slug}-{timezone.now():%Y%m%d}.zip"
    answer = FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/zip")
    answer["Cache-Control"] = "private, no-store"
    return answer
