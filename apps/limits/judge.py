"""A check through Django: the door's steps in the door's order, with a store that waits."""

import itertools
import time
from functools import cache
from pathlib import Path
from secrets import token_hex
from threading import Lock

import structlog
from django.conf import settings
from redis import Redis, RedisError

from apps.limits.callers import Callers
from ratelimiter.engine.decision import Check, Decision
from ratelimiter.engine.errors import EngineError
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.wire.decode import check_decode, idempotency_of
from ratelimiter.engine.wire.render import Answer, decision_render
from ratelimiter.events.schema import event_from
from ratelimiter.events.spool import Spool
from ratelimiter.snapshot.credentials import credential_choose, credential_key, permission_verify
from ratelimiter.snapshot.keyring import Pepper
from ratelimiter.snapshot.model import Identity, Scope
from ratelimiter.store.client import counters_client
from ratelimiter.store.live import LiveCounts
from ratelimiter.store.sync import CALL_TIMEOUT_MS, SyncStore

log = structlog.get_logger(__name__)


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

    def check(
        self, body: bytes, *, authorization: bytes | None, api_key: bytes | None, idempotency_key: bytes | None
    ) -> Answer:
        """Raises EngineError."""
        started_ns = time.perf_counter_ns()
        credential = credential_choose(authorization=authorization, api_key=api_key)
        identity, tenant = self._callers.resolve(credential_key(credential))
        now_ms = self._store.now_ms()
        permission_verify(identity, Scope.CHECK, suspended=tenant.suspended, now_ms=now_ms)
        check = check_decode(body)
        prepared = prepare(
            tenant.rule_set,
            check,
            live=identity.live,
            now_ms=now_ms,
            check_id=f"{self._prefix}{next(self._numbers):08x}",
            idempotency=idempotency_of(idempotency_key, body),
        )
        outcome = self._store.decide(prepared)
        if not isinstance(outcome, Decision):
            raise outcome if isinstance(outcome, EngineError) else EngineError("this check has no decision")
        if check.mode != "peek":
            self._spool_append(check, outcome, identity, started_ns)
            self._count(outcome, identity)
        return decision_render(outcome)

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
