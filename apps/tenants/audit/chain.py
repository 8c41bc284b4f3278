"""The canonical form of an entry and the chain that entries of a tenant make; docs/audit.md says it for others.

    hash = hex(SHA-256(prev_hash, line feed, seq, line feed, record))

`record` is JSON in UTF-8 without white space outside of strings, members sorted by code point, nothing escaped that
need not be. It holds strings, whole numbers, booleans, null, lists and objects: other values are strings, so that no
database and no language can write them differently. The first entry's prev_hash is 64 zeros.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any

VERSION = 1
GENESIS = "0" * 64
# A change of these is written down as a change of something else; their values never are.
_SECRET = frozenset({"secret", "digest", "password", "token", "code_nonce", "key_digest"})


class SecretInAudit(RuntimeError):
    """A service would write a secret down: a mistake in the code."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs, by field; None where there was, or is, nothing."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def is_empty(self) -> bool:
        return self.before == {} and self.after == {}


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Changes:
    """Raises SecretInAudit."""
    old, new = _fields(before), _fields(after)
    if old is None or new is None:
        return Changes(old, new)
    differing = [name for name in {**old, **new} if old.get(name, _NOTHING) != new.get(name, _NOTHING)]
    return Changes(
        {name: old[name] for name in differing if name in old}, {name: new[name] for name in differing if name in new}
    )


def record_write(values: Mapping[str, Any]) -> str:
    return json.dumps(_plain(values), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def record_read(record: str) -> dict[str, Any]:
    """Raises ValueError."""
    read = json.loads(record)
    if not isinstance(read, dict):
        raise ValueError("a record is an object")  # noqa: TRY004
    return read


def link_hash(*, prev_hash: str, seq: int, record: str) -> str:
    return sha256(f"{prev_hash}\n{seq}\n{record}".encode()).hexdigest()


_NOTHING = object()


def _fields(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    if secret := _SECRET & values.keys():
        raise SecretInAudit(f"{', '.join(sorted(secret))} must not be written down")
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    return moment_write(value) if isinstance(value, datetime) else str(value)


def moment_write(at: datetime) -> str:
    """2026-11-28T05:46:00.000123Z"""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
