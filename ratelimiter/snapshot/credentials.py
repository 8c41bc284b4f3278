"""From the headers of a request to an API key, and whether its identity may check: both doors, word for word."""

from ratelimiter.engine.errors import Forbidden, InvalidRequest, Unauthenticated
from ratelimiter.snapshot.keyring import key_is_well_formed
from ratelimiter.snapshot.model import Identity, Scope

UNKNOWN = "the API key is unknown or revoked"
NOT_YET = "API keys cannot be judged right now; try again"
NO_RULES_YET = "this tenant's rules are not loaded yet"


def key_from_headers(*, authorization: bytes | None, api_key: bytes | None) -> str:
    """Costs no I/O. Raises InvalidRequest for two credentials, Unauthenticated for anything that cannot be a key."""
    if api_key is None:
        if authorization is None:
            raise Unauthenticated("send the API key as “Authorization: Bearer rl_…” or as “X-API-Key: rl_…”")
        scheme, _, raw = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthenticated("the header Authorization must be “Bearer rl_…”")
    elif authorization is not None:
        raise InvalidRequest("send one credential: either the header Authorization or X-API-Key")
    else:
        raw = api_key
    try:
        key = raw.strip().decode("ascii")
    except UnicodeDecodeError:
        raise Unauthenticated("that is not an API key") from None
    if not key_is_well_formed(key):
        raise Unauthenticated("that is not an API key: its form or its checksum is wrong")
    return key


def permission_verify(identity: Identity, *, suspended: bool, now_ms: int) -> None:
    """Raises Unauthenticated (expired) and Forbidden (scope, suspended tenant)."""
    if identity.expires_at_ms and identity.expires_at_ms <= now_ms:
        raise Unauthenticated("the API key has expired")
    if Scope.CHECK not in identity.scopes:
        raise Forbidden("this API key lacks the scope “check”")
    if suspended:
        raise Forbidden("this tenant is suspended")
