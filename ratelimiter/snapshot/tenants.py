"""The rules of the tenants that a door serves, compiled, with the last known good.

A tenant is read when its first check comes and again whenever the change stream says so. A snapshot that is missing or
cannot be understood never replaces one that works.
"""

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec

from ratelimiter.engine import keys
from ratelimiter.engine.errors import Unavailable
from ratelimiter.engine.matching import RuleSet
from ratelimiter.snapshot.credentials import NO_RULES_YET
from ratelimiter.snapshot.model import snapshot_decode
from ratelimiter.snapshot.source import Source

MAX_TENANTS = 20_000

Loaded = Callable[[Unavailable | None], None]

_log = logging.getLogger("ratelimiter.snapshot")


class TenantState:
    """What is known of one tenant. `rule_set` is None until the first snapshot was read."""

    __slots__ = ("_again", "_waiting", "loading", "mark", "rule_set", "suspended", "tenant")

    def __init__(self, tenant: int) -> None:
        self.tenant = tenant
        self.rule_set: RuleSet | None = None
        self.suspended = False
        self.mark: bytes | None = None  # "<revision>:<sequence>" as Redis announced it
        self.loading = False
        self._again = False
        self._waiting: list[Loaded] = []

    def wait(self, loaded: Loaded) -> None:
        self._waiting.append(loaded)

    def repeat_later(self) -> None:
        self._again = True

    def repeats(self) -> bool:
        again, self._again = self._again, False
        return again

    def finish(self, failure: Unavailable | None) -> None:
        self.loading = False
        waiting, self._waiting = self._waiting, []
        for loaded in waiting:
            loaded(failure)


class Tenants:
    """`on_evicted` is told which tenants were let go to stay within bounds."""

    on_evicted: Callable[[set[int]], None]

    def __init__(self, source: Source) -> None:
        self._source = source
        self._states: dict[int, TenantState] = {}

    def __iter__(self) -> Iterator[TenantState]:
        return iter(list(self._states.values()))

    def __len__(self) -> int:
        return len(self._states)

    def get(self, tenant: int) -> TenantState | None:
        return self._states.get(tenant)

    def ensure(self, tenant: int) -> TenantState:
        state = self._states.get(tenant)
        if state is None:
            if len(self._states) >= MAX_TENANTS:
                self._evict()
            state = self._states[tenant] = TenantState(tenant)
        return state

    def load(self, state: TenantState, loaded: Loaded) -> None:
        """Reads the snapshot as it is now or newer, then calls back, in order of the calls."""
        state.wait(loaded)
        if state.loading:
            state.repeat_later()
        else:
            state.loading = True
            self._read(state)

    def _read(self, state: TenantState) -> None:
        def marked(mark: Any) -> None:
            self._source.call(lambda blob: self._have_read(state, mark, blob), "GET", keys.snapshot(state.tenant))

        # The mark first: a publication between the two leaves a mark that is too old, which the comparison notices.
        self._source.call(marked, "HGET", keys.SNAPSHOT_REVISIONS, state.tenant)

    def _have_read(self, state: TenantState, mark: Any, blob: Any) -> None:
        if state.repeats():
            self._read(state)
            return
        failed = isinstance(blob, Exception) or isinstance(mark, Exception)
        if not failed and blob is not None and self._install(state, blob):
            state.mark = mark
        state.finish(None if state.rule_set is not None else Unavailable(NO_RULES_YET))

    def _install(self, state: TenantState, blob: bytes) -> bool:
        try:
            snapshot = snapshot_decode(blob)
            rule_set = snapshot.rule_set()
        except (msgspec.MsgspecError, ValueError):
            _log.exception("the snapshot of tenant %d cannot be used; the last good one stays", state.tenant)
            return False
        state.rule_set = rule_set
        state.suspended = snapshot.suspended
        return True

    def _evict(self) -> None:
        eldest = {tenant for tenant in islice(self._states, MAX_TENANTS // 10) if not self._states[tenant].loading}
        for tenant in eldest:
            del self._states[tenant]
        self.on_evicted(eldest)
