"""Who is calling: API keys resolved to identities, remembered by the bytes of the header that carried them.

Remembering by header bytes saves the HMAC. A key that cannot be judged (Redis is away, or has not been filled yet) is
answered 503, never 401: only the keyring's completeness marker makes an unknown key unknown. What was resolved once
goes on working while Redis is away.

Callbacks run in the order of arrival, in one go with the reply, so that checks of one key keep their order.
"""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import msgspec

from ratelimiter.engine import keys
from ratelimiter.engine.errors import EngineError, Unauthenticated, Unavailable
from ratelimiter.snapshot.credentials import NOT_YET, UNKNOWN
from ratelimiter.snapshot.keyring import Pepper, key_digest
from ratelimiter.snapshot.model import Identity, Scope, identity_decode
from ratelimiter.snapshot.source import Source
from ratelimiter.snapshot.tenants import Tenants, TenantState

MAX_CALLERS = 100_000
MAX_UNKNOWN = 50_000
MAX_LOOKUPS = 1_000
UNKNOWN_FOR_S = 5.0

_log = logging.getLogger("ratelimiter.snapshot")


class Caller:
    """A resolved key. Once `alive` is False it must be resolved again. `is_plain`: it may check, and never expires."""

    __slots__ = ("alive", "digest", "expires_at_ms", "identity", "is_plain", "live", "may_check", "stale", "state")

    def __init__(self, digest: str, identity: Identity, state: TenantState) -> None:
        self.digest = digest
        self.state = state
        self.alive = True
        self.update(identity)

    def update(self, identity: Identity) -> None:
        self.identity = identity
        self.live = identity.live
        self.expires_at_ms = identity.expires_at_ms
        self.may_check = Scope.CHECK in identity.scopes
        self.is_plain = self.may_check and not self.expires_at_ms
        self.stale = False


Resolved = Callable[[Caller | EngineError], None]


class _Lookup:
    __slots__ = ("credential", "digests", "outdated", "waiting")

    def __init__(self, credential: bytes, digests: Sequence[str]) -> None:
        self.credential = credential
        self.digests = digests
        self.outdated = False  # a change was announced while the reply was on its way
        self.waiting: list[Resolved] = []


class Callers:
    def __init__(self, source: Source, tenants: Tenants, peppers: Sequence[Pepper]) -> None:
        self._source = source
        self._tenants = tenants
        self._peppers = sorted(peppers, key=lambda pepper: -pepper.version)
        self._by_credential: dict[bytes, Caller] = {}
        self._by_digest: dict[str, Caller] = {}
        self._unknown: dict[bytes, float] = {}  # credential -> monotonic time until which it stays unknown
        self._lookups: dict[bytes, _Lookup] = {}

    def __len__(self) -> int:
        return len(self._by_digest)

    def get(self, credential: bytes) -> Caller | None:
        """The hot path: no I/O, no hashing beyond the dictionary's."""
        caller = self._by_credential.get(credential)
        if caller is not None and not caller.alive:
            del self._by_credential[credential]
            return None
        return caller

    def resolve(self, credential: bytes, key: str, resolved: Resolved) -> None:
        """`key` is well formed. Calls back with the caller, Unauthenticated or Unavailable, perhaps at once."""
        lookup = self._lookups.get(credential)
        if lookup is not None:
            lookup.waiting.append(resolved)
            return
        if self._unknown.get(credential, 0.0) > time.monotonic():
            resolved(Unauthenticated(UNKNOWN))
            return
        digests = [key_digest(key, pepper) for pepper in self._peppers]
        for digest in digests:
            known = self._by_digest.get(digest)
            if known is not None:
                self._remember(credential, known)
                resolved(known)
                return
        if not self._source.is_up or len(self._lookups) >= MAX_LOOKUPS:
            resolved(Unavailable(NOT_YET))
            return
        lookup = self._lookups[credential] = _Lookup(credential, digests)
        lookup.waiting.append(resolved)
        self._ask(lookup)

    def forget(self, digest: str) -> None:
        """A change of this key was announced."""
        caller = self._by_digest.pop(digest, None)
        if caller is not None:
            caller.alive = False
        self._unknown.clear()
        for lookup in self._lookups.values():
            lookup.outdated = lookup.outdated or digest in lookup.digests

    def forget_tenants(self, tenants: set[int]) -> None:
        for caller in [caller for caller in self._by_digest.values() if caller.state.tenant in tenants]:
            self._by_digest.pop(caller.digest).alive = False

    def distrust(self) -> None:
        """Announcements may have been missed: everything counts on until `refresh` has looked at it."""
        self._unknown.clear()
        for caller in self._by_digest.values():
            caller.stale = True
        for lookup in self._lookups.values():
            lookup.outdated = True

    def stale(self) -> list[Caller]:
        return [caller for caller in self._by_digest.values() if caller.stale]

    async def refresh(self, callers: Sequence[Caller]) -> None:
        """Looks at stale callers again. An absent entry ends a caller only when the keyring is complete.

        Raises StoreFailed.
        """
        names = [keys.keyring_entry(caller.digest) for caller in callers]
        *blobs, marker, epoch = await self._source.ask("MGET", *names, keys.KEYRING_COMPLETE, keys.SNAPSHOT_EPOCH)
        complete = marker is not None and marker == epoch
        for caller, blob in zip(callers, blobs, strict=True):
            identity = _identity(blob)
            if identity is not None and identity.tenant == caller.state.tenant:
                caller.update(identity)
            elif complete:
                self.forget(caller.digest)

    def _ask(self, lookup: _Lookup) -> None:
        names = [keys.keyring_entry(digest) for digest in lookup.digests]
        self._source.call(
            lambda reply: self._answered(lookup, reply), "MGET", *names, keys.KEYRING_COMPLETE, keys.SNAPSHOT_EPOCH
        )

    def _answered(self, lookup: _Lookup, reply: Any) -> None:
        if isinstance(reply, Exception):
            self._finish(lookup, Unavailable(NOT_YET))
            return
        if lookup.outdated:
            lookup.outdated = False
            self._ask(lookup)
            return
        *blobs, marker, epoch = reply
        for digest, blob in zip(lookup.digests, blobs, strict=True):
            identity = _identity(blob)
            if identity is not None:
                self._found(lookup, digest, identity)
                return
        if marker is None or marker != epoch:
            self._finish(lookup, Unavailable(NOT_YET))
            return
        if len(self._unknown) >= MAX_UNKNOWN:
            self._unknown.clear()
        self._unknown[lookup.credential] = time.monotonic() + UNKNOWN_FOR_S
        self._finish(lookup, Unauthenticated(UNKNOWN))

    def _found(self, lookup: _Lookup, digest: str, identity: Identity) -> None:
        state = self._tenants.ensure(identity.tenant)

        def loaded(failure: Unavailable | None) -> None:
            if lookup.outdated:
                lookup.outdated = False
                self._ask(lookup)
            elif failure is not None:
                self._finish(lookup, failure)
            else:
                caller = self._by_digest.get(digest) or Caller(digest, identity, state)
                self._remember(lookup.credential, caller)
                self._finish(lookup, caller)

        if state.rule_set is None:
            self._tenants.load(state, loaded)
        else:
            loaded(None)

    def _finish(self, lookup: _Lookup, outcome: Caller | EngineError) -> None:
        del self._lookups[lookup.credential]
        for resolved in lookup.waiting:
            resolved(outcome)

    def _remember(self, credential: bytes, caller: Caller) -> None:
        if len(self._by_digest) >= MAX_CALLERS:
            for digest in list(islice(self._by_digest, MAX_CALLERS // 10)):
                self._by_digest.pop(digest).alive = False
        if len(self._by_credential) >= MAX_CALLERS:
            for held in list(islice(self._by_credential, MAX_CALLERS // 10)):
                del self._by_credential[held]
        self._by_digest[caller.digest] = caller
        self._by_credential[credential] = caller


def _identity(blob: bytes | None) -> Identity | None:
    if blob is None:
        return None
    try:
        return identity_decode(blob)
    except msgspec.MsgspecError:
        _log.exception("a keyring entry cannot be understood")
        return None
