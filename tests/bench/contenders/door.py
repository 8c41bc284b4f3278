"""The door, with everything on: authentication, rules and the quota in one script, headers, an event on the spool."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ratelimiter.engine.quota import Quota
from ratelimiter.engine.rules import Algorithm, Match, Rule, RuleType
from tests.bench.contenders.contender import Running, Site
from tests.bench.requests import ROUTES, USERS, batches, singles
from tests.door.rig import DoorProcess, Keyring, rule, settle

HOT_USERS = 4
QUOTA = Quota("2026-11", 0)  # counts every check of the billing period, refuses none


@dataclass(frozen=True)
class Door:
    """What is published to it, and what it is asked. `denied`: none of, half of, or all of the checks."""

    rules: int = 1
    tenants: int = 1
    denied: float = 0.0
    batch: int = 0  # checks a request; 0 asks the endpoint of single checks
    lease: int = 0

    @contextmanager
    def __call__(self, site: Site) -> Iterator[Running]:
        keyring = Keyring(site.valkey)
        keys = [keyring.key(keyring.tenant(*self.published(), quota=QUOTA)) for _ in range(self.tenants)]
        door = DoorProcess(site.valkey, site.folder / "spool")
        try:
            settle(site.valkey, keyring)
            yield Running(door.port, door.process.pid, self._payloads(keys))
        finally:
            door.stop()

    def published(self) -> list[Rule]:
        """One rule of each user, then rules of everybody in turn, none of which is ever reached but by `denied`."""
        first = rule("user-day", type=RuleType.USER, key=("user",), limit=1_000_000_000, lease=self.lease)
        algorithms = (Algorithm.FIXED_WINDOW, Algorithm.TOKEN_BUCKET)
        others = [rule(f"r{n}", window_ms=60_000 * n, limit=100_000_000, algorithm=algorithms[n % 2])
                  for n in range(1, self.rules)]  # fmt: skip
        if not self.denied:
            return [first, *others]
        full_routes = ROUTES if self.denied == 1.0 else ROUTES[:1]
        full = rule("full", type=RuleType.ROUTE, limit=1, match=Match(routes=full_routes))
        free = rule("free", type=RuleType.ROUTE, limit=100_000_000, match=Match(routes=ROUTES[len(full_routes) :]))
        return [first, *others[1:], full, *([free] if self.denied < 1 else [])]

    def _payloads(self, keys: list[str]) -> list[bytes]:
        if self.batch:
            return batches(keys, size=self.batch, users=HOT_USERS if self.lease else USERS)
        return singles(keys)
