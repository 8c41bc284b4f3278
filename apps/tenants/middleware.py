"""Says of every request who makes it and from where, for the audit log; nothing of it is read before it is needed."""

from collections.abc import Callable

import structlog
from allauth.account.adapter import get_adapter
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse

from apps.core.origin import Actor, Origin, coming_from

_VIA = {"/staff/": "admin", "/api/": "api"}
_ANONYMOUS = Actor("system", None, "somebody without a login")


class OriginMiddleware:
    """Stands below the one that knows the user. Who sends an API key is recognised later, by the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        via = next((via for prefix, via in _VIA.items() if request.path.startswith(prefix)), "portal")
        origin = Origin(lambda: _actor(request, via), via, lambda: _address(request), request_id_now)
        with coming_from(origin):
            return self.get_response(request)


def request_id_now() -> str:
    """The one that stands in the logs."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def _actor(request: HttpRequest, via: str) -> Actor:
    user = request.user
    if not user.is_authenticated:
        return _ANONYMOUS
    return Actor("staff" if via == "admin" else "user", user.pk, str(user))


def _address(request: HttpRequest) -> str:
    try:
        return str(get_adapter().get_client_ip(request))
    except (PermissionDenied, ImproperlyConfigured):  # proxies that pass on nothing, or less than TRUSTED_PROXIES says
        return ""
