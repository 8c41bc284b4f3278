"""Who hears of what: the organisation's matrix, one's own mails, and the channels that are connected."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods

from apps.core.errors import ApplicationError
from apps.notifications.kinds import LISTED
from apps.notifications.preferences import matrix_set, own_mails_set
from apps.notifications.quiet import clock_words
from apps.notifications.selectors import MEMBER_MEDIA, ROLES, matrix_of, own_mails
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission


@require_http_methods(["GET", "HEAD", "POST"])
@gzip_page
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
            try:
                own_mails_set(
                    tenant_id=request.tenant.id, user_id=member.user_id, muted=off,
                    quiet_from=request.POST.get("quiet_from", ""), quiet_until=request.POST.get("quiet_until", ""),
                )  # fmt: skip
            except ApplicationError as error:
                messages.error(request, error.detail)
                return redirect("notifications:preferences", request.tenant.slug)
        messages.success(request, "Saved.")
        return redirect("notifications:preferences", request.tenant.slug)
    matrix = matrix_of(request.tenant.id)
    own = own_mails(tenant_id=request.tenant.id, user_id=member.user_id)
    muted = own.muted if own else ()
    mails = [
        (row.kind, row.kind.code not in muted)
        for row in matrix
        if any(cell.is_on and cell.medium == "email" and cell.role == member.role for cell in row.cells)
    ]
    context = {
        "section": "notifications",
        "matrix": matrix,
        "roles": ROLES,
        "media": MEMBER_MEDIA,
        "mails": mails,
        "quiet_from": clock_words(own.quiet_from if own else None),
        "quiet_until": clock_words(own.quiet_until if own else None),
    }
    return render(request, "notifications/preferences.html", context)
