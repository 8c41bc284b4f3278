"""The store for callers that wait: the Django check endpoint.

One connection pool, 50 ms a call, and no retries: redis-py repeats a timed-out command ten times by default, which
would count a check again. A call carries the latest time (in the store's own clock) at which it may still count.
"""

from threading import Lock
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from ratelimiter.engine.clock import StoreClock, monotonic_ms, unix_ms
from ratelimiter.engine.decision import Decision
from ratelimiter.engine.errors import CallLate, StoreFailed
from ratelimiter.engine.failure import Breaker
from ratelimiter.engine.prepare import ALLOWED_WITHOUT_RULES, Call, Prepared, encode, interpret, reply_decode
from ratelimiter.engine.scripts import check_script
from ratelimiter.store.fallback import Fallback

CALL_TIMEOUT_MS = 50


def counters_client(url: str, *, timeout_ms: int = CALL_TIMEOUT_MS) -> Redis:
    """A client that never tries twice."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_ms / 1_000,
        socket_connect_timeout=timeout_ms / 1_000,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


class SyncStore:
    """Safe for several threads. `decide` always answers: degraded when the store does not."""

    def __init__(self, url: str, *, workers: int) -> None:
        self._redis = counters_client(url)
        self._fallback = Fallback(workers)
        self._breaker = Breaker()
        self._lock = Lock()
        self._clock = StoreClock()

    def decide(self, prepared: Prepared) -> Decision:
        if not prepared.rules:
            return interpret(prepared, ALLOWED_WITHOUT_RULES, 0)
        with self._lock:
            admitted = self._breaker.admits(monotonic_ms())
        if admitted:
            try:
                reply = self._run(prepared)
            except (RedisError, OSError, StoreFailed):
                with self._lock:
                    self._breaker.failed(monotonic_ms())
            else:
                decision = interpret(prepared, reply, 1)
                with self._lock:
                    self._breaker.succeeded()
                    self._fallback.observe(prepared, decision)
                return decision
        with self._lock:
            return self._fallback.decide(prepared, unix_ms())

    def _run(self, prepared: Prepared) -> list[int]:
        if not self._clock.known:
            sent_ms = monotonic_ms()
            seconds, micros = self._redis.time()
            self._observe(seconds * 1_000 + micros // 1_000, sent_ms)
        sent_ms = monotonic_ms()
        call = encode([prepared], not_after_ms=self._clock.at(sent_ms) + CALL_TIMEOUT_MS)
        try:
            reply = reply_decode(self._evaluate(call))
        except CallLate as late:
            self._observe(late.store_ms, sent_ms)
            raise
        self._observe(reply[0], sent_ms)
        return reply

    def _observe(self, store_ms: int, sent_ms: int) -> None:
        self._clock.observe(store_ms, sent_ms=sent_ms, received_ms=monotonic_ms())

    def _evaluate(self, call: Call) -> bytes:
        script = check_script()
        arguments = [*call.keys, call.argument]
        try:
            raw = self._redis.evalsha(script.sha.decode(), len(call.keys), *arguments)
        except NoScriptError:
            raw = self._redis.eval(script.body.decode(), len(call.keys), *arguments)
        return cast("bytes", raw)
