"""Tokens of programs that act for a person: a short access token, and a refresh token that is good once.

All tokens of one login are a family, one row, which every request looks at. So they die at once with the login: when it
is ended, when the account is disabled, and with another password or generation of the user (see User). A refresh token
that comes a second time was stolen, or its answer was lost; nobody can tell, so the family ends.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Any

from django.db.models import F
from django.utils.crypto import constant_time_compare

from apps.core.errors import Unauthenticated
from apps.tenants.logins.signing import TokenRefused, token_read, token_sign
from apps.tenants.models import TokenFamily, User

ACCESS_S = 300
REFRESH_S = 14 * 86_400
FAMILY_S = 90 * 86_400  # then the password is asked for again, however often it was refreshed
_ACCESS, _REFRESH = "at+jwt", "rt+jwt"
_LARGEST_ID = 2**63 - 1


class TokenInvalid(Unauthenticated):
    code = "token_invalid"

    def __init__(self) -> None:
        super().__init__("The token is not valid, or not any more.")


@dataclass(frozen=True, slots=True)
class Tokens:
    access: str
    refresh: str
    refresh_s: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Who sent a token; `family_id` is the login that it came of."""

    user_id: int
    email: str
    family_id: uuid.UUID


def tokens_begin(*, user_id: int, now: datetime) -> Tokens:
    """For a person who has shown who they are."""
    user = User.objects.get(id=user_id)
    family = TokenFamily.objects.create(
        user=user, auth_hash=user.get_session_auth_hash(), expires_at=now + timedelta(seconds=FAMILY_S)
    )
    return _tokens(family, turn=1, now=now)


def tokens_refresh(*, refresh: str, now: datetime) -> Tokens:
    """Raises TokenInvalid, after ending the family where the token was used before."""
    family, turn = _family_of(refresh, now)
    alive = TokenFamily.objects.filter(id=family.id, ended_at=None)
    if not alive.filter(turn=turn).update(turn=F("turn") + 1):
        alive.filter(turn__gt=turn).update(ended_at=now)
        raise TokenInvalid
    return _tokens(family, turn=turn + 1, now=now)


def tokens_revoke(*, refresh: str, now: datetime) -> None:
    """Ends the family, whichever of its refresh tokens it is. Raises TokenInvalid where it has ended already."""
    family, _ = _family_of(refresh, now)
    TokenFamily.objects.filter(id=family.id, ended_at=None).update(ended_at=now)


def token_holder(*, access: str, now: datetime) -> Holder:
    """One query. Raises TokenInvalid."""
    family = _family(_claims(access, _ACCESS, now), now)
    return Holder(family.user_id, family.user.email, family.id)


def logins_end(*, user_id: int) -> None:
    """All sessions and tokens of that person; a view that wants to keep its own session renews that."""
    User.objects.filter(id=user_id).update(generation=F("generation") + 1)


def tokens_purge(*, now: datetime) -> int:
    """Families that nobody can use any more; an ended one stays until then. Returns how many."""
    return TokenFamily.objects.filter(expires_at__lt=now).delete()[0]


def _tokens(family: TokenFamily, *, turn: int, now: datetime) -> Tokens:
    said = {"sub": str(family.user_id), "sid": str(family.id)}
    refresh_s = min(REFRESH_S, int((family.expires_at - now).total_seconds()))
    return Tokens(
        access=token_sign({**said, "jti": token_urlsafe(12)}, typ=_ACCESS, now=now, life_s=ACCESS_S),
        refresh=token_sign({**said, "turn": turn}, typ=_REFRESH, now=now, life_s=refresh_s),
        refresh_s=refresh_s,
    )


def _family_of(refresh: str, now: datetime) -> tuple[TokenFamily, int]:
    """And the turn that the token is of. Raises TokenInvalid."""
    claims = _claims(refresh, _REFRESH, now)
    turn = claims.get("turn")
    if not isinstance(turn, int) or not 0 < turn < 2**31:
        raise TokenInvalid
    return _family(claims, now), turn


def _claims(text: str, typ: str, now: datetime) -> dict[str, Any]:
    """Raises TokenInvalid."""
    try:
        return token_read(text, typ=typ, now=now)
    except TokenRefused as error:
        raise TokenInvalid from error


def _family(claims: dict[str, Any], now: datetime) -> TokenFamily:
    """With its user. Raises TokenInvalid."""
    try:
        family_id, user_id = uuid.UUID(claims["sid"]), int(claims["sub"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TokenInvalid from error
    if not 0 < user_id <= _LARGEST_ID:
        raise TokenInvalid
    found = TokenFamily.objects.select_related("user")
    family = found.filter(id=family_id, user_id=user_id, ended_at=None, expires_at__gt=now).first()
    if family is None or not family.user.is_active:
        raise TokenInvalid
    if not constant_time_compare(family.auth_hash, family.user.get_session_auth_hash()):
        raise TokenInvalid
    return family
