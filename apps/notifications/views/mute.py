"""The link that stops mails. No login: whoever has the mail may. Opening it changes nothing, because mail programs open
links; the button does, and so does the one-click POST of RFC 8058, which carries no cookie and no CSRF token.
"""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.core.errors import NotFound
from apps.notifications.kinds import KINDS
from apps.notifications.muting import mute_read
from apps.notifications.services import mute
from apps.tenants.selectors import tenant_get


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    try:
        muting = mute_read(token)
        tenant = tenant_get(muting.tenant_id)
    except NotFound:
        raise Http404 from None
    is_done = request.method == "POST"
    kinds = mute(muting) if is_done else [KINDS[code] for code in muting.kinds if code in KINDS]
    return render(request, "notifications/stop.html", {"kinds": kinds, "tenant": tenant, "is_done": is_done})
