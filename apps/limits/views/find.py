"""One field that leads to any page, rule or key by its name; Ctrl or Cmd and K opens it."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.limits.finding import places
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

MAX_TEXT = 200


@require_safe
@never_cache
@member_view(Permission.VIEW)
def find(request: TenantRequest) -> HttpResponse:
    wanted = request.GET.get("q", "")[:MAX_TEXT].strip()
    context = {"section": "find", "q": wanted, "found": places(request.member, wanted)}
    return render(request, "find/page.html", context)
