"""API keys as the data plane recognises them.

Form: `rl_{live|test}_` + 32 base62 random characters + 6 base62 characters of CRC-32 over what precedes them: garbage
is told from keys without any I/O, and secret scanners can find them. The random part carries 190 bits, so a keyed plain
hash is enough (OWASP ASVS 5.0, 6.5.2): HMAC-SHA-256 with a pepper, whose version stands in front of the digest.
"""

import hmac
import re
import secrets
import string
from hashlib import sha256
from typing import NamedTuple, cast
from zlib import crc32

from redis import Redis

from ratelimiter.engine import keys

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6

_FORM = re.compile(r"rl_(live|test)_[0-9A-Za-z]{38}")


class Pepper(NamedTuple):
    """The secret that digests are keyed with. Old versions stay known until the last key made with them is gone."""

    version: int
    secret: bytes


def key_generate(*, live: bool) -> str:
    body = f"rl_{'live' if live else 'test'}_" + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return body + _checksum(body)


def key_is_well_formed(key: str) -> bool:
    """True when form and checksum hold. Costs no I/O."""
    return bool(_FORM.fullmatch(key)) and _checksum(key[:-CHECKSUM_CHARACTERS]) == key[-CHECKSUM_CHARACTERS:]


def key_digest(key: str, pepper: Pepper) -> str:
    """`<pepper version>:<64 hex digits>`, the name under which a key is stored and looked up."""
    return f"{pepper.version}:{hmac.new(pepper.secret, key.encode(), sha256).hexdigest()}"


def keys_last_used(redis: Redis, *, tenant: int) -> dict[int, int]:
    """API key id -> Unix seconds of its last use, as the doors and the admin API wrote it. Raises RedisError."""
    raw = cast("dict[bytes, bytes]", redis.hgetall(keys.key_last_used(tenant)))
    return {int(key_id): int(at_s) for key_id, at_s in raw.items()}


def key_used(redis: Redis, *, tenant: int, key_id: int, at_s: int) -> None:
    """Of a use that no door saw. Raises RedisError."""
    redis.hset(keys.key_last_used(tenant), str(key_id), str(at_s))


def _checksum(body: str) -> str:
    rest = crc32(body.encode())
    characters = []
    for _ in range(CHECKSUM_CHARACTERS):
        rest, digit = divmod(rest, len(ALPHABET))
        characters.append(ALPHABET[digit])
    return "".join(reversed(characters))
