"""The inbox: what happened, newest first. A button marks it as read; looking does not."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from apps.notifications.announcing import announcements_open
from apps.notifications.preferences import inbox_read
from apps.notifications.selectors import UNREAD_MOST, inbox_of, unread_count
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

PER_PAGE = 30


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.VIEW)
def inbox(request: TenantRequest) -> HttpResponse:
    member = request.member
    if request.method == "POST":
        inbox_read(tenant_id=request.tenant.id, user_id=member.user_id)
        return redirect("notifications:inbox", request.tenant.slug)
    before = request.GET.get("before", "")
    rows = inbox_of(
        tenant=request.tenant, user_id=member.user_id, role=member.role,
        before_id=int(before) if before.isdecimal() and len(before) < 19 else None, limit=PER_PAGE,
    )  # fmt: skip
    context = {
        "section": "inbox",
        "rows": rows[:PER_PAGE],
        "older": rows[PER_PAGE - 1].message.id if len(rows) > PER_PAGE else None,
        "unread": unread_count(tenant_id=request.tenant.id, user_id=member.user_id, role=member.role),
    }
    return render(request, "notifications/inbox.html", context)


@require_safe
@member_view(Permission.VIEW)
def unread(request: TenantRequest) -> HttpResponse:
    """The mark beside the inbox, and our announcements above the page, which fetches both once it is there."""
    member = request.member
    count = unread_count(tenant_id=request.tenant.id, user_id=member.user_id, role=member.role)
    context = {"count": count, "most": UNREAD_MOST, "open": announcements_open(tenant_id=request.tenant.id)}
    return render(request, "notifications/unread.html", context)
