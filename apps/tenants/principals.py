"""How a view of the admin API begins: who asks, for which tenant, and may they.

Whoever asks is a Principal, whatever they showed. The classes of `settings.API_AUTHENTICATION`, which belong to rooms
above and are tried in their order, make one or return None for a credential that is not of their kind. Then
`settings.API_LIMITER` counts the request.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.errors import ApplicationError, Forbidden, NotFound, Unauthenticated
from apps.core.negotiation import AnyAccept
from apps.core.parsing import PlainJSONParser, query_verify, size_verify
from apps.core.scope import tenant_scope
from apps.tenants.idempotency.answering import Answer, Asking, answer_find, answer_keep, fingerprint_of, key_read
from apps.tenants.permissions import ROLE_PERMISSIONS, SCOPE_PERMISSIONS, Permission
from apps.tenants.selectors import TenantInfo, tenant_get

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` is a key's or a user's. `role` is what services go by that ask for one; a key's is never an owner's."""

    tenant_id: int
    kind: Literal["key", "user"]
    id: int
    role: str
    permissions: frozenset[Permission]

    @property
    def user_id(self) -> int | None:
        return self.id if self.kind == "user" else None


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether one more request is within the product's own limits, the headers that say so, and the words for a no."""

    is_allowed: bool
    headers: Mapping[str, str]
    detail: str


class RateLimited(ApplicationError):
    status = 429
    code = "rate_limited"


class AdminView(APIView):
    """`permissions` says by method what is needed, None for a credential of any kind; GET's is HEAD's, too. A method
    that it does not name does not exist.

    What is not there and what is another tenant's answer 404 in the same bytes. A POST with an Idempotency-Key runs
    inside the tenant's scope as a whole.
    """

    content_negotiation_class = AnyAccept
    parser_classes = [PlainJSONParser]
    is_admin_api = True  # for its description
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    permissions: Mapping[str, Permission | None] = {}
    tenant: TenantInfo
    admission: Admission | None = None

    def __init_subclass__(cls) -> None:
        unguarded = [name for name in METHODS if hasattr(cls, name.lower()) and name not in cls.permissions]
        if unguarded:
            raise TypeError(f"{cls.__name__} says of {', '.join(unguarded)} not who may")

    @property
    def principal(self) -> Principal:
        return cast("Principal", self.request.auth)

    @property
    def tenant_id(self) -> int:
        return self.principal.tenant_id

    def scope(self) -> AbstractContextManager[None]:
        return tenant_scope(self.tenant_id)

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [import_string(name)() for name in settings.API_AUTHENTICATION]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises ApplicationError."""
        super().initial(request, *args, **kwargs)
        size_verify(request)
        query_verify(request.query_params)
        if request.method == "POST" and "Idempotency-Key" in request.headers:
            vars(self)["post"] = partial(self._once, cast("Any", type(self)).post)

    def perform_authentication(self, request: Request) -> None:
        """Raises Unauthenticated, RateLimited: whoever is known is counted, whatever they may."""
        super().perform_authentication(request)
        if request.auth is None:
            raise Unauthenticated("send an API key or a token as “Authorization: Bearer …”")
        self.admission = import_string(settings.API_LIMITER)(self.principal)
        if not self.admission.is_allowed:
            raise RateLimited(self.admission.detail)

    def check_permissions(self, request: Request) -> None:
        """Raises Forbidden, also for a suspended tenant."""
        method = "GET" if request.method == "HEAD" else request.method or ""
        if method not in self.permissions:
            self.http_method_not_allowed(request)
        needed = self.permissions[method]
        if needed is not None and needed not in self.principal.permissions:
            raise Forbidden(_lacking(self.principal.kind, needed))
        self.tenant = tenant_get(self.tenant_id)
        if self.tenant.suspended_at is not None:
            raise Forbidden("this tenant is suspended")

    def _once(self, post: Callable[..., Response], request: Request, *args: Any, **kwargs: Any) -> Response:
        """Raises ApplicationError."""
        asking = Asking(
            self.tenant_id, self.principal.kind, self.principal.id, key_read(request.headers["Idempotency-Key"]),
            fingerprint_of(request.get_full_path(), request.data),
        )  # fmt: skip
        with self.scope():
            held = answer_find(asking, now=timezone.now())
            if held is not None:
                return Response(held.body, held.status, headers=held.headers | {"Idempotency-Replayed": "true"})
            response = post(self, request, *args, **kwargs)
            answer_keep(asking, Answer(response.status_code, response.data, dict(response.headers)))
        return response

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, NotFound):
            exc = NotFound("There is nothing here by that name.")
        response = super().handle_exception(exc)
        if response.status_code == 401:
            response["WWW-Authenticate"] = "Bearer"
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.setdefault("Cache-Control", "private, no-cache")
        for name, value in (self.admission.headers if self.admission else {}).items():
            response[name] = value
        return response


def _lacking(kind: str, needed: Permission) -> str:
    """Who would be let in, in words that people choose from."""
    if kind == "user":
        return f"your role here may not do this; {_either(ROLE_PERMISSIONS, needed)} may"
    enough = _either(SCOPE_PERMISSIONS, needed)
    return f"this API key lacks the scope {enough}" if enough else "no API key may do this; log in as a person"


def _either(table: Mapping[str, frozenset[Permission]], needed: Permission) -> str:
    return " or ".join(f"“{name}”" for name, allowed in table.items() if needed in allowed)
