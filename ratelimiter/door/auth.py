"""From the headers of a request to the caller's key.

The first sight of a header costs a lookup; after that its bytes are the key of a dictionary, see snapshot.callers.
"""

from typing import NamedTuple

from ratelimiter.door.exchange import Exchange
from ratelimiter.engine.clock import unix_ms
from ratelimiter.engine.errors import Forbidden, InvalidRequest, Unauthenticated
from ratelimiter.snapshot.callers import Caller
from ratelimiter.snapshot.keyring import key_is_well_formed

_API_KEY = b"X-API-Key "  # no authorization scheme, so that the two headers cannot be taken for each other


class Credential(NamedTuple):
    """`raw` is what to remember the caller by."""

    raw: bytes
    key: str


def raw_credential(exchange: Exchange) -> bytes:
    """Raises InvalidRequest for two credentials, Unauthenticated for none."""
    if exchange.api_key is None:
        if exchange.authorization is None:
            raise Unauthenticated("send the API key as “Authorization: Bearer rl_…” or as “X-API-Key: rl_…”")
        return exchange.authorization
    if exchange.authorization is not None:
        raise InvalidRequest("send one credential: either the header Authorization or X-API-Key")
    return _API_KEY + exchange.api_key


def credential_parse(raw: bytes) -> Credential:
    """Raises Unauthenticated for anything that cannot be a key; that costs no I/O."""
    scheme, _, rest = raw.partition(b" ")
    if scheme.lower() not in (b"bearer", b"x-api-key"):
        raise Unauthenticated("the header Authorization must be “Bearer rl_…”")
    try:
        key = rest.strip().decode("ascii")
    except UnicodeDecodeError:
        raise Unauthenticated("that is not an API key") from None
    if not key_is_well_formed(key):
        raise Unauthenticated("that is not an API key: its form or its checksum is wrong")
    return Credential(raw, key)


def permission_verify(caller: Caller) -> None:
    """Raises Unauthenticated (expired) and Forbidden (scope, suspended tenant)."""
    if caller.expires_at_ms and caller.expires_at_ms <= unix_ms():
        raise Unauthenticated("the API key has expired")
    if not caller.may_check:
        raise Forbidden("this API key lacks the scope “check”")
    if caller.state.suspended:
        raise Forbidden("this tenant is suspended")
