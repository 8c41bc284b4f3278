"""How a view of the portal begins: who asks, for which tenant, may they, and then the tenant's scope.

Sets `request.member` (MemberInfo), `request.tenant` (TenantInfo) and `request.places`, everywhere that the reader
belongs, so that a page asks for it once. Strangers get 404, exactly as for a tenant that does not exist; members
without the permission get 403. Staff who look as a member are that member here, `request.look` says so, and nothing
can be changed.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import timezone

from apps.core.scope import scoped
from apps.tenants.looking import SAFE_METHODS, Look, LookingOnly, look_of, reading_only
from apps.tenants.permissions import Permission
from apps.tenants.selectors import MemberInfo, TenantInfo, memberships_of

View = Callable[..., HttpResponseBase]


class TenantRequest(HttpRequest):
    """The request inside a view that `member_view` guards."""

    member: MemberInfo
    tenant: TenantInfo
    places: list[MemberInfo]
    look: Look | None


def member_view(permission: Permission, *, opens_scope: bool = True) -> Callable[[View], View]:
    """The URL carries `slug`, which the view does not get.

    With `opens_scope` False the view opens the scope itself, around what it reads of the tenant's rows: for views that
    speak to Redis besides.
    """

    def decorate(view: View) -> View:
        inner = scoped(view) if opens_scope else view

        @login_required
        @wraps(view)
        def wrapper(request: Any, *args: Any, slug: str, **kwargs: Any) -> HttpResponseBase:
            _enter(request, slug)
            if not request.member.may(permission):
                raise PermissionDenied(f"Your role here is {request.member.role}; it does not include this.")
            with (
                timezone.override(ZoneInfo(request.tenant.timezone)),
                reading_only() if request.look else nullcontext(),
            ):
                return inner(request, *args, **kwargs)

        return wrapper

    return decorate


def _enter(request: Any, slug: str) -> None:
    """Raises Http404 for strangers, LookingOnly for staff who look and would change something."""
    request.look, request.places = None, memberships_of(request.user.id)
    look = look_of(request)
    if look is not None:
        lent = [place for place in memberships_of(look.user.id) if place.tenant.id == look.tenant_id]
        if lent and lent[0].tenant.slug == slug:
            request.look, request.places, request.user = look, lent, look.user
            if request.method not in SAFE_METHODS:
                raise LookingOnly
    member = next((place for place in request.places if place.tenant.slug == slug), None)
    if member is None:
        raise Http404
    request.member, request.tenant = member, member.tenant
