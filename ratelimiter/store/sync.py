"""The store for callers that wait: the Django check endpoint.

One connection pool, 50 ms a call, and no retries: redis-py repeats a timed-out command ten times by default, which
would count a check again. A call carries the latest time (in the store's own clock) at which it may still count.
"""

from threading import Lock
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from ratelimiter.engine.clock import StoreClock, monotonic_ms, unix_ms
from ratelimiter.engine.decision import Decision
from ratelimiter.engine.errors import CallLate, StoreFailed
from ratelimiter.engine.failure import Breaker
from ratelimiter.engine.interpret import Outcome, interpret
from ratelimiter.engine.prepare import Call, Entry, Prepared, encode, reply_decode
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

    def now_ms(self) -> int:
        """The store's time, or ours while it is not known."""
        return self._clock.at(monotonic_ms()) if self._clock.known else unix_ms()

    def decide(self, entry: Entry) -> Outcome:
        if not entry.needs_store:
            with self._lock:
                return self._fallback.decide(entry, unix_ms())
        with self._lock:
            admitted = self._breaker.admits(monotonic_ms())
        if admitted:
            try:
                reply = self._run(entry)
            except (RedisError, OSError, StoreFailed):
                with self._lock:
                    self._breaker.failed(monotonic_ms())
            else:
                outcome = interpret(entry, reply, 1)
                with self._lock:
                    self._breaker.succeeded()
                    if type(outcome) is Decision and type(entry) is Prepared:
                        self._fallback.observe(entry, outcome)
                return outcome
        with self._lock:
            return self._fallback.decide(entry, unix_ms())

    def fetch(self, key: bytes) -> bytes | None:
        """One value as the store has it. Raises StoreFailed."""
        try:
            return cast("bytes | None", self._redis.get(key))
        except (RedisError, OSError) as error:
            raise StoreFailed(str(error)) from None

    def _run(self, entry: Entry) -> list[Any]:
        if not self._clock.known:
            sent_ms = monotonic_ms()
            seconds, micros = self._redis.time()
            self._observe(seconds * 1_000 + micros // 1_000, sent_ms)
        sent_ms = monotonic_ms()
        at_ms = self._clock.at(sent_ms)
        call = encode([entry], not_after_ms=at_ms + CALL_TIMEOUT_MS, at_ms=at_ms)
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
