"""A check through Django, and its companions: the door's steps in the door's order, with a store that waits."""

import atexit
import itertools
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex
from threading import Event, Lock, Thread

import msgspec
import structlog
from django.conf import settings
from redis import Redis, RedisError

from apps.limits.callers import Callers, Tenant
from ratelimiter.engine.clock import unix_ms
from ratelimiter.engine.decision import Check, Decision
from ratelimiter.engine.errors import EngineError, StoreFailed, Unavailable
from ratelimiter.engine.explain import explain
from ratelimiter.engine.interpret import GivenBack
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.records import REFUND, RELEASE, Idempotency, check_record_key, give_back_from
from ratelimiter.engine.wire.decode import amount_decode, check_decode, idempotency_of
from ratelimiter.engine.wire.render import Answer, decision_render, explanation_render, given_back_render
from ratelimiter.events.schema import event_from
from ratelimiter.events.spool import HEARTBEAT_EVERY_S, Spool
from ratelimiter.snapshot.credentials import credential_choose, credential_key, permission_verify
from ratelimiter.snapshot.keyring import Pepper
from ratelimiter.snapshot.model import Identity, Scope
from ratelimiter.store.client import counters_client
from ratelimiter.store.denials import HOLD_MS
from ratelimiter.store.live import LiveCounts
from ratelimiter.store.sync import CALL_TIMEOUT_MS, SyncStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: body, and the headers that say who asks, and whether again."""

    body: bytes
    authorization: bytes | None
    api_key: bytes | None
    idempotency_key: bytes | None = None


class Judge:
    """One a process, made by the first check, so that a process that forks has its own spool and connections."""

    def __init__(self, *, redis: Redis, store: SyncStore, callers: Callers, spool: Spool, boot: str) -> None:
        self._redis = redis
        self._store = store
        self._callers = callers
        self._spool = spool
        self._spool_lock = Lock()
        self._prefix = f"chk_{boot}"
        self._numbers = itertools.count(1)
        self._ending = Event()
        self._heart = Thread(target=self._beat, name="spool-heartbeat", daemon=True)
        self._heart.start()
        atexit.register(self.close)

    def close(self) -> None:
        """Says in the spool that nothing more will come."""
        atexit.unregister(self.close)
        self._ending.set()
        self._heart.join()
        with self._spool_lock:
            self._spool.close(unix_ms())

    def _beat(self) -> None:
        while not self._ending.wait(HEARTBEAT_EVERY_S):
            with self._spool_lock:
                self._spool.heartbeat(unix_ms())

    def check(self, asked: Asked) -> Answer:
        """Raises EngineError."""
        started_ns = time.perf_counter_ns()
        identity, tenant, now_ms = self._admit(asked, Scope.CHECK)
        check = check_decode(asked.body)
        idempotency = idempotency_of(asked.idempotency_key, asked.body)
        decision = self._decide(check, identity, tenant, now_ms, idempotency)
        if check.mode != "peek":
            self._spool_append(check, decision, identity, started_ns)
            if not decision.replayed:
                self._count(decision, identity)
        return decision_render(decision)

    def explain(self, asked: Asked) -> Answer:
        """What a check would meet and be told; counts nothing. Raises EngineError."""
        identity, tenant, now_ms = self._admit(asked, Scope.CHECK)
        check = msgspec.structs.replace(check_decode(asked.body), mode="peek")
        explanation = explain(tenant.rule_set, check, now_ms=now_ms)
        return explanation_render(self._decide(check, identity, tenant, now_ms), explanation)

    def refund(self, asked: Asked, *, check_id: str) -> Answer:
        """Raises EngineError."""
        identity, _, _ = self._admit(asked, Scope.REFUND)
        return self._give_back(identity, check_id, REFUND, amount_decode(asked.body))

    def release(self, asked: Asked, *, check_id: str) -> Answer:
        """Raises EngineError."""
        identity, _, _ = self._admit(asked, Scope.CHECK)
        return self._give_back(identity, check_id, RELEASE, None)

    def _admit(self, asked: Asked, scope: Scope) -> tuple[Identity, Tenant, int]:
        """Who asks, the tenant's rules, and the store's time in ms. Raises EngineError."""
        credential = credential_choose(authorization=asked.authorization, api_key=asked.api_key)
        identity, tenant = self._callers.resolve(credential_key(credential))
        now_ms = self._store.now_ms()
        permission_verify(identity, scope, suspended=tenant.suspended, now_ms=now_ms)
        return identity, tenant, now_ms

    def _decide(
        self, check: Check, identity: Identity, tenant: Tenant, now_ms: int, idempotency: Idempotency | None = None
    ) -> Decision:
        prepared = prepare(
            tenant.rule_set,
            check,
            live=identity.live,
            now_ms=now_ms,
            check_id=f"{self._prefix}{next(self._numbers):08x}",
            idempotency=idempotency,
        )
        outcome = self._store.decide(prepared)
        if not isinstance(outcome, Decision):
            raise outcome if isinstance(outcome, EngineError) else EngineError("this check has no decision")
        return outcome

    def _give_back(self, identity: Identity, check_id: str, what: int, amount: int | None) -> Answer:
        """The record says which counters were charged; then one call gives back on all of them."""
        key = check_record_key(identity.tenant, check_id, live=identity.live)
        try:
            raw = self._store.fetch(key)
        except StoreFailed:
            raise Unavailable("what was counted cannot be reached right now; try again") from None
        outcome = self._store.decide(give_back_from(identity.tenant, key, raw, what, amount))
        if not isinstance(outcome, GivenBack):
            raise outcome if isinstance(outcome, EngineError) else EngineError("nothing was given back")
        if what == REFUND:
            time.sleep(HOLD_MS / 1_000)  # doors may hold denials from before it for so long
        return given_back_render(check_id, what, outcome.amount)

    def _spool_append(self, check: Check, decision: Decision, identity: Identity, started_ns: int) -> None:
        latency_us = (time.perf_counter_ns() - started_ns) // 1_000
        event = event_from(check, decision, latency_us, identity.tenant, identity.key_id, live=identity.live)
        with self._spool_lock:
            self._spool.append([event])

    def _count(self, decision: Decision, identity: Identity) -> None:
        """For looking at only, so a Redis that is away costs the number and not the answer."""
        counts = LiveCounts()
        counts.count(decision, identity.tenant, identity.key_id, live=identity.live)
        if decision.degraded:
            return
        pipeline = self._redis.pipeline(transaction=False)
        counts.flush(pipeline, now_s=int(time.time()))
        try:
            pipeline.execute()
        except RedisError as error:
            log.warning("check_not_counted", reason=str(error))


@cache
def judge() -> Judge:
    boot = token_hex(8)
    redis = counters_client(settings.COUNTERS_URL, timeout_ms=CALL_TIMEOUT_MS)
    peppers = [Pepper(version, bytes.fromhex(secret)) for version, secret in settings.KEY_PEPPERS]
    return Judge(
        redis=redis,
        store=SyncStore(settings.COUNTERS_URL, workers=settings.DOOR_WORKERS),
        callers=Callers(redis, peppers),
        spool=Spool(Path(settings.SPOOL_DIR), boot=boot, max_bytes=settings.SPOOL_MAX_BYTES),
        boot=boot,
    )
