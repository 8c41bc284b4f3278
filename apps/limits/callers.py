"""Who is calling the Django check endpoint: what the door knows from its watch, asked of Redis for each check.

The same rules hold: only a complete keyring makes an unknown key unknown, everything else that cannot be judged is
Unavailable, and what worked last goes on working while Redis is away or has not been filled yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import msgspec
import structlog
from redis import Redis, RedisError

from ratelimiter.engine import keys
from ratelimiter.engine.errors import Unauthenticated, Unavailable
from ratelimiter.engine.matching import RuleSet
from ratelimiter.snapshot.credentials import NO_RULES_YET, NOT_YET, UNKNOWN
from ratelimiter.snapshot.keyring import Pepper, key_digest
from ratelimiter.snapshot.model import Identity, identity_decode, snapshot_decode

MAX_REMEMBERED = 10_000

Value = TypeVar("Value")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tenant:
    """`mark` is the epoch and "<revision>:<sequence>" under which Redis announced the rules."""

    mark: tuple[bytes | None, bytes | None]
    rule_set: RuleSet
    suspended: bool


class Callers:
    """Safe for several threads: what is remembered is replaced whole."""

    def __init__(self, redis: Redis, peppers: Sequence[Pepper]) -> None:
        self._redis = redis
        self._peppers = sorted(peppers, key=lambda pepper: -pepper.version)
        self._identities: _Remembered[str, Identity] = _Remembered()
        self._tenants: _Remembered[int, Tenant] = _Remembered()

    def resolve(self, key: str) -> tuple[Identity, Tenant]:
        """Raises Unauthenticated and Unavailable."""
        digests = [key_digest(key, pepper) for pepper in self._peppers]
        names = [keys.keyring_entry(digest) for digest in digests]
        try:
            reply = cast("list[bytes | None]", self._redis.mget([*names, keys.KEYRING_COMPLETE, keys.SNAPSHOT_EPOCH]))
        except RedisError:
            identity = self._known(digests)
            return identity, self._tenant_known(identity.tenant)
        *blobs, marker, epoch = reply
        identity = self._identity(digests, blobs, is_complete=marker is not None and marker == epoch)
        return identity, self._tenant(identity.tenant, epoch)

    def _identity(self, digests: Sequence[str], blobs: Sequence[bytes | None], *, is_complete: bool) -> Identity:
        for digest, blob in zip(digests, blobs, strict=True):
            if blob is not None:
                identity = identity_decode(blob)
                self._identities.put(digest, identity)
                return identity
        if is_complete:
            for digest in digests:
                self._identities.drop(digest)
            raise Unauthenticated(UNKNOWN)
        return self._known(digests)

    def _known(self, digests: Sequence[str]) -> Identity:
        for digest in digests:
            identity = self._identities.get(digest)
            if identity is not None:
                return identity
        raise Unavailable(NOT_YET)

    def _tenant(self, tenant: int, epoch: bytes | None) -> Tenant:
        known = self._tenants.get(tenant)
        try:
            # The mark first: a publication between the two leaves a mark that is too old, which the next check notices.
            mark = (epoch, cast("bytes | None", self._redis.hget(keys.SNAPSHOT_REVISIONS, str(tenant))))
            if known is not None and known.mark == mark:
                return known
            blob = cast("bytes | None", self._redis.get(keys.snapshot(tenant)))
        except RedisError:
            return self._tenant_known(tenant)
        if blob is not None:
            try:
                snapshot = snapshot_decode(blob)
                read = Tenant(mark, snapshot.rule_set(), snapshot.suspended)
            except (msgspec.MsgspecError, ValueError):
                log.exception("snapshot_unusable", tenant=tenant)
            else:
                self._tenants.put(tenant, read)
        return self._tenant_known(tenant)

    def _tenant_known(self, tenant: int) -> Tenant:
        known = self._tenants.get(tenant)
        if known is None:
            raise Unavailable(NO_RULES_YET)
        return known


Key = TypeVar("Key", str, int)


class _Remembered(Generic[Key, Value]):
    """A bounded dictionary; the eldest go first."""

    def __init__(self) -> None:
        self._held: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        return self._held.get(key)

    def put(self, key: Key, value: Value) -> None:
        self._held[key] = value
        if len(self._held) > MAX_REMEMBERED:
            self._held.pop(next(iter(self._held)), None)

    def drop(self, key: Key) -> None:
        self._held.pop(key, None)
