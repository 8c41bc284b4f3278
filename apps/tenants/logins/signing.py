"""What API tokens are made of: JWTs signed with Ed25519 (RFC 8037, 9864), by keys that have versions.

A token is read only if it looks exactly like ours: the header holds `alg`, `kid` and `typ` and nothing else, so that
whatever else the standards let a sender ask for (`jku`, `jwk`, `x5u`, `crit`, `b64`, other algorithms) never comes up.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
MAX_LENGTH, MAX_HEADER = 1_024, 200  # characters; what is nested deeper than Python reads is longer
LEEWAY_S = 5  # between the clocks of our machines

_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class TokenRefused(Exception):
    """Not one of ours, not of this type, or not valid now."""


def token_sign(claims: Mapping[str, str | int], *, typ: str, now: datetime, life_s: int) -> str:
    """Adds who issued it for whom, and its times."""
    kid, key = next(iter(_keys().items()))
    at = int(now.timestamp())
    told = {"iss": issuer(), "aud": audience(), "iat": at, "nbf": at, "exp": at + life_s, **claims}
    return jwt.encode({"alg": ALGORITHM, "kid": kid, "typ": typ}, told, key, algorithms=[ALGORITHM])


def token_read(text: str, *, typ: str, now: datetime) -> dict[str, Any]:
    """The claims. Raises TokenRefused."""
    if len(text) > MAX_LENGTH or not _PARTS.fullmatch(text):
        raise TokenRefused
    header, claims = text.split(".", maxsplit=1)[0], jwt.JWTClaimsRegistry(
        now=int(now.timestamp()), leeway=LEEWAY_S,
        iss={"essential": True, "value": issuer()}, aud={"essential": True, "value": audience()},
        sub={"essential": True}, iat={"essential": True}, nbf={"essential": True}, exp={"essential": True},
    )  # fmt: skip
    key = _key_named(header, typ)
    if not all(_is_canonical(part) for part in text.split(".")):
        raise TokenRefused
    try:
        told = jwt.decode(text, key, algorithms=[ALGORITHM], decoder_cls=_Strict).claims
        claims.validate(told)
    except (JoseError, ValueError) as error:
        raise TokenRefused from error
    if not isinstance(told["aud"], str):
        raise TokenRefused
    return told


def keys_published() -> dict[str, Any]:
    """A JWK set of the public halves, the one that signs first."""
    return {"keys": [key.as_dict(private=False) for key in _keys().values()]}


def issuer() -> str:
    return str(settings.PORTAL_URL)


def audience() -> str:
    return f"{settings.PORTAL_URL}/api/"


def _key_named(header: str, typ: str) -> OKPKey:
    """Raises TokenRefused."""
    if len(header) > MAX_HEADER:
        raise TokenRefused
    try:
        said = json.loads(base64.urlsafe_b64decode(header + "=="), object_pairs_hook=_pairs_once)
    except ValueError as error:
        raise TokenRefused from error
    kid = said.get("kid") if isinstance(said, dict) else None
    if not isinstance(kid, str) or said != {"alg": ALGORITHM, "kid": kid, "typ": typ} or kid not in _keys():
        raise TokenRefused
    return _keys()[kid]


def _is_canonical(part: str) -> bool:
    """The last character has bits that say nothing: with them free, one token could be written in several ways."""
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        return False
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode() == part


def _pairs_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError for a name that stands twice, which readers take differently."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


class _Strict(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__(object_pairs_hook=_pairs_once)


def _keys() -> dict[str, OKPKey]:
    return _keys_of(tuple(settings.TOKEN_KEYS))


@cache
def _keys_of(seeds: tuple[tuple[str, bytes], ...]) -> dict[str, OKPKey]:
    """By `kid`, in the order of the settings."""
    return {
        kid: OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed), {"kid": kid, "use": "sig", "alg": ALGORITHM})
        for kid, seed in seeds
    }
