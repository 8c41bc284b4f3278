"""An API key as the credential of the admin API: in `Authorization: Bearer` or `X-API-Key`, as at the door."""

from functools import cache, partial

import structlog
from django.utils import timezone
from redis.exceptions import RedisError
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.apikeys.selectors import key_find, secret_entry
from apps.core.counters import counters
from apps.core.errors import Unauthenticated
from apps.core.origin import Actor, actor_is
from apps.tenants.permissions import scopes_allow
from apps.tenants.principals import Principal
from apps.tenants.selectors import KeyEntry
from ratelimiter.snapshot.keyring import key_is_well_formed, key_used

PREFIX = "rl_"
MARK_S = 30  # how often a process writes down that a key is in use
MARKED = 10_000

log = structlog.get_logger(__name__)
_marked: dict[int, int] = {}


class KeyAuthentication(BaseAuthentication):
    """Bearer texts that begin otherwise are somebody else's to read."""

    def authenticate(self, request: Request) -> tuple[None, Principal] | None:
        """Raises Unauthenticated."""
        secret = _secret(request)
        if secret is None:
            return None
        entry = secret_entry(secret, now=timezone.now()) if key_is_well_formed(secret) else None
        if entry is None:
            raise Unauthenticated("the API key is unknown, revoked or expired")
        _used(entry, int(timezone.now().timestamp()))
        actor_is(cache(partial(_actor, entry)))  # asked for once, however much is written down
        role = "admin" if "admin" in entry.scopes else "viewer"
        return None, Principal(entry.tenant_id, "key", entry.key_id, role, scopes_allow(entry.scopes))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _used(entry: KeyEntry, now_s: int) -> None:
    """What people see of it is worth no request."""
    if now_s - _marked.get(entry.key_id, 0) < MARK_S:
        return
    if len(_marked) >= MARKED:
        _marked.clear()
    _marked[entry.key_id] = now_s
    try:
        key_used(counters(), tenant=entry.tenant_id, key_id=entry.key_id, at_s=now_s)
    except RedisError as error:
        log.warning("key_use_not_marked", reason=str(error))


def _actor(entry: KeyEntry) -> Actor:
    """Inside the tenant's scope, where something is written down."""
    key = key_find(tenant_id=entry.tenant_id, key_id=entry.key_id)
    return Actor("key", entry.key_id, f"{key.name} ({key.masked})" if key else f"API key {entry.key_id}")


def _secret(request: Request) -> str | None:
    """Raises Unauthenticated."""
    held, bearer = request.headers.get("X-API-Key"), request.headers.get("Authorization")
    if held is not None and bearer is not None:
        raise Unauthenticated("send one credential: “Authorization” or “X-API-Key”")
    if held is not None:
        return held.strip()
    scheme, _, secret = (bearer or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip().startswith(PREFIX) else None
