"""From the headers of a request to an API key, and what both doors say, word for word, to those they turn away."""

from ratelimiter.engine.errors import Forbidden, InvalidRequest, Unauthenticated
from ratelimiter.snapshot.keyring import key_is_well_formed
from ratelimiter.snapshot.model import Identity, Scope

UNKNOWN = "the API key is unknown or revoked"
EXPIRED = "the API key has expired"
NOT_YET = "API keys cannot be judged right now; try again"
NO_RULES_YET = "this tenant's rules are not loaded yet"
NO_SCOPE = "this API key lacks the scope “{}”"
SUSPENDED = "this tenant is suspended"

_API_KEY = b"X-API-Key "  # no authorization scheme, so that the two headers cannot be taken for each other


def credential_choose(*, authorization: bytes | None, api_key: bytes | None) -> bytes:
    """The bytes that stand for the caller. Raises InvalidRequest for two credentials, Unauthenticated for none."""
    if api_key is None:
        if authorization is None:
            raise Unauthenticated("send the API key as “Authorization: Bearer rl_…” or as “X-API-Key: rl_…”")
        return authorization
    if authorization is not None:
        raise InvalidRequest("send one credential: either the header Authorization or X-API-Key")
    return _API_KEY + api_key


def credential_key(credential: bytes) -> str:
    """The API key in it. Costs no I/O. Raises Unauthenticated for anything that cannot be a key."""
    scheme, _, rest = credential.partition(b" ")
    if scheme.lower() not in (b"bearer", b"x-api-key"):
        raise Unauthenticated("the header Authorization must be “Bearer rl_…”")
    try:
        key = rest.strip().decode("ascii")
    except UnicodeDecodeError:
        raise Unauthenticated("that is not an API key") from None
    if not key_is_well_formed(key):
        raise Unauthenticated("that is not an API key: its form or its checksum is wrong")
    return key


def permission_verify(identity: Identity, scope: Scope, *, suspended: bool, now_ms: int) -> None:
    """Raises Unauthenticated (expired) and Forbidden (scope, suspended tenant)."""
    if identity.expires_at_ms and identity.expires_at_ms <= now_ms:
        raise Unauthenticated(EXPIRED)
    if scope not in identity.scopes:
        raise Forbidden(NO_SCOPE.format(scope))
    if suspended:
        raise Forbidden(SUSPENDED)
