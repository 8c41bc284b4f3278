"""The API's reference: every address as OpenAPI has it, to be tried out with a test key of the reader's own."""

from datetime import timedelta

from csp.decorators import csp_update
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.apikeys.handover import REFERENCE, secret_put, secret_take
from apps.apikeys.services import key_create
from apps.core.errors import ApplicationError
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import ROLE_PERMISSIONS, Permission
from apps.tenants.selectors import memberships_of

SHOWN_S = 3_600
KEY_LIVES = timedelta(days=1)
_SCOPES = ("check", "refund", "read")  # nothing that is tried out changes what others rely on


@require_safe
@never_cache
@csp_update({"img-src": ["'self'", "data:"]})  # Swagger UI's icons
def reference(request: HttpRequest) -> HttpResponse:
    """Open to everybody. Members who may make keys are offered one."""
    places = memberships_of(request.user.id or 0) if request.user.is_authenticated else []
    context = {
        "section": "docs", "page": "reference", "secret": secret_take(request, REFERENCE),
        "tenants": [place.tenant for place in places if place.may(Permission.KEYS_EDIT)],
    }  # fmt: skip
    return render(request, "docs/reference.html", context)


@require_POST
@member_view(Permission.KEYS_EDIT)
def reference_key(request: TenantRequest) -> HttpResponse:
    """Makes a test key for a day, which the reference is filled with for an hour."""
    try:
        issued = key_create(
            tenant_id=request.tenant.id,
            name="API reference",
            live=False,
            scopes=_SCOPES,
            expires_at=timezone.now() + KEY_LIVES,
            created_by_id=request.member.user_id,
            granted_by=ROLE_PERMISSIONS[request.member.role],
        )
    except ApplicationError as error:
        messages.error(request, error.detail)
        return redirect("apikeys:keys", request.tenant.slug)
    response = redirect("apikeys:reference")
    secret_put(response, REFERENCE, secret=issued.secret, max_age_s=SHOWN_S)
    return response
