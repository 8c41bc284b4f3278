"""Who hears of what: the organisation's matrix, one's own mails, and the channels that are connected."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.notifications.kinds import LISTED
from apps.notifications.preferences import matrix_set, own_mails_set
from apps.notifications.selectors import MEMBER_MEDIA, ROLES, matrix_of, muted_by
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.VIEW)
def preferences(request: TenantRequest) -> HttpResponse:
    member = request.member
    if request.method == "POST":
        if request.POST.get("what") == "matrix":
            if not member.may(Permission.TENANT_EDIT):
                raise PermissionDenied(f"Your role here is {member.role}; it does not include this.")
            chosen = {tuple(value.split("|")) for value in request.POST.getlist("on") if value.count("|") == 2}
            matrix_set(tenant_id=request.tenant.id, chosen=chosen)  # type: ignore[arg-type]
        else:
            wanted = set(request.POST.getlist("mail"))
            off = [kind.code for kind in LISTED if kind.is_mutable and kind.code not in wanted]
            own_mails_set(tenant_id=request.tenant.id, user_id=member.user_id, muted=off)
        messages.success(request, "Saved.")
        return redirect("notifications:preferences", request.tenant.slug)
    matrix = matrix_of(request.tenant.id)
    muted = muted_by(tenant_id=request.tenant.id, user_id=member.user_id)
    mails = [
        (row.kind, row.kind.code not in muted)
        for row in matrix
        if any(cell.is_on and cell.medium == "email" and cell.role == member.role for cell in row.cells)
    ]
    context = {"section": "notifications", "matrix": matrix, "roles": ROLES, "media": MEMBER_MEDIA, "mails": mails}
    return render(request, "notifications/preferences.html", context)
