"""An API key as the credential of the admin API: in `Authorization: Bearer` or `X-API-Key`, as at the door."""

from functools import partial
from typing import Any, cast

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.apikeys.selectors import key_find, secret_entry
from apps.core.errors import ApplicationError, Forbidden
from apps.core.origin import Actor, actor_is
from apps.tenants.selectors import KeyEntry, tenant_get
from ratelimiter.snapshot.keyring import key_is_well_formed


class Unauthenticated(ApplicationError):
    status = 401
    code = "unauthenticated"


class KeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the key's KeyEntry. Who sends no key is refused, too."""

    def authenticate(self, request: Request) -> tuple[None, KeyEntry]:
        """Raises Unauthenticated."""
        secret = _secret(request)
        entry = secret_entry(secret, now=timezone.now()) if key_is_well_formed(secret) else None
        if entry is None:
            raise Unauthenticated("the API key is unknown, revoked or expired")
        actor_is(partial(_actor, entry))
        return None, entry

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class KeyView(APIView):
    """A view for API keys: `scopes` says by method which one is needed, `admin` where it says nothing."""

    authentication_classes = [KeyAuthentication]
    scopes: dict[str, str] = {"GET": "read", "HEAD": "read", "OPTIONS": "read"}

    @property
    def tenant_id(self) -> int:
        return cast("KeyEntry", self.request.auth).tenant_id

    def check_permissions(self, request: Request) -> None:
        """Raises Forbidden for a key without the scope and for a suspended tenant."""
        entry = cast("KeyEntry", request.auth)
        scope = self.scopes.get(request.method or "", "admin")
        if scope not in entry.scopes:
            raise Forbidden(f"this API key lacks the scope “{scope}”")
        if tenant_get(entry.tenant_id).suspended_at is not None:
            raise Forbidden("this tenant is suspended")

    def handle_exception(self, exc: Exception) -> Any:
        response = super().handle_exception(exc)
        if response.status_code == 401:
            response["WWW-Authenticate"] = "Bearer"
        return response


def _actor(entry: KeyEntry) -> Actor:
    """Inside the tenant's scope, where something is written down."""
    key = key_find(tenant_id=entry.tenant_id, key_id=entry.key_id)
    return Actor("key", entry.key_id, f"{key.name} ({key.masked})" if key else f"API key {entry.key_id}")


def _secret(request: Request) -> str:
    """Raises Unauthenticated."""
    held, bearer = request.headers.get("X-API-Key", ""), request.headers.get("Authorization", "")
    scheme, _, secret = bearer.partition(" ")
    if bool(held) == bool(bearer) or (bearer and scheme.lower() != "bearer"):
        raise Unauthenticated("send the API key as “Authorization: Bearer rl_…” or as “X-API-Key: rl_…”")
    return held.strip() or secret.strip()
