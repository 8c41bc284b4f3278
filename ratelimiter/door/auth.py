"""Who may check here. The first sight of a credential costs a lookup; then its bytes are the key of a dictionary."""

from ratelimiter.door.exchange import Exchange
from ratelimiter.engine.errors import Forbidden, Unauthenticated
from ratelimiter.snapshot.callers import Caller
from ratelimiter.snapshot.credentials import EXPIRED, NO_SCOPE, SUSPENDED, credential_choose
from ratelimiter.snapshot.model import Scope


def raw_credential(exchange: Exchange) -> bytes:
    """Raises InvalidRequest for two credentials, Unauthenticated for none."""
    return credential_choose(authorization=exchange.authorization, api_key=exchange.api_key)


def permission_verify(caller: Caller, scope: Scope, *, now_ms: int) -> None:
    """credentials.permission_verify on what a Caller has worked out already. Raises Unauthenticated and Forbidden."""
    if caller.expires_at_ms and caller.expires_at_ms <= now_ms:
        raise Unauthenticated(EXPIRED)
    if not (caller.may_check if scope is Scope.CHECK else scope in caller.identity.scopes):
        raise Forbidden(NO_SCOPE.format(scope))
    if caller.state.suspended:
        raise Forbidden(SUSPENDED)
