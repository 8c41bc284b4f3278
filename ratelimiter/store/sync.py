"""The store for callers that wait: the Django check endpoint.

50 ms a call and no retries. A call carries the latest time (in the store's own clock) at which it may still count. What
is known of a store is known of each node: its clock, and whether it answers.
"""

from threading import Lock
from typing import Any, cast

from redis.exceptions import NoScriptError, RedisError

from ratelimiter.engine.clock import StoreClock, monotonic_ms, unix_ms
from ratelimiter.engine.decision import Decision
from ratelimiter.engine.errors import CallLate, StoreFailed
from ratelimiter.engine.failure import Breaker
from ratelimiter.engine.interpret import Outcome, interpret
from ratelimiter.engine.prepare import Call, Entry, Prepared, encode, reply_decode
from ratelimiter.engine.scripts import check_script
from ratelimiter.store.address import Topology, address_parse
from ratelimiter.store.client import counters_client
from ratelimiter.store.fallback import Fallback
from ratelimiter.store.slots import entry_key

CALL_TIMEOUT_MS = 50


class SyncStore:
    """Safe for several threads. `decide` always answers: degraded when the store does not."""

    def __init__(self, url: str, *, workers: int) -> None:
        self._redis: Any = counters_client(url, timeout_ms=CALL_TIMEOUT_MS)
        self._is_cluster = address_parse(url).topology is Topology.CLUSTER
        self._fallback = Fallback(workers)
        self._nodes: dict[str, _Node] = {}
        self._lock = Lock()

    def now_ms(self) -> int:
        """The store's time, or ours while it is not known."""
        with self._lock:
            clocks = [node.clock for node in self._nodes.values() if node.clock.known]
        return clocks[0].at(monotonic_ms()) if clocks else unix_ms()

    def decide(self, entry: Entry) -> Outcome:
        if not entry.needs_store:
            return self._degrade(entry)
        try:
            node = self._node(entry)
        except (RedisError, OSError):
            return self._degrade(entry)
        with self._lock:
            admitted = node.breaker.admits(monotonic_ms())
        if not admitted:
            return self._degrade(entry)
        try:
            reply = self._run(entry, node)
        except (RedisError, OSError, StoreFailed):
            with self._lock:
                node.breaker.failed(monotonic_ms())
            return self._degrade(entry)
        outcome = interpret(entry, reply, 1)
        with self._lock:
            node.breaker.succeeded()
            if type(outcome) is Decision and type(entry) is Prepared:
                self._fallback.observe(entry, outcome)
        return outcome

    def fetch(self, key: bytes) -> bytes | None:
        """One value as the store has it. Raises StoreFailed."""
        try:
            return cast("bytes | None", self._redis.get(key))
        except (RedisError, OSError) as error:
            raise StoreFailed(str(error)) from None

    def _degrade(self, entry: Entry) -> Outcome:
        with self._lock:
            return self._fallback.decide(entry, unix_ms())

    def _node(self, entry: Entry) -> "_Node":
        """Raises RedisError when the cluster's map cannot be read."""
        place = self._redis.get_node_from_key(entry_key(entry)) if self._is_cluster else None
        name = place.name if place is not None else ""
        with self._lock:
            node = self._nodes.get(name)
            if node is None:
                node = self._nodes[name] = _Node({} if place is None else {"target_nodes": place})
        return node

    def _run(self, entry: Entry, node: "_Node") -> list[Any]:
        if not node.clock.known:
            sent_ms = monotonic_ms()
            seconds, micros = self._redis.time(**node.target)
            node.observe(seconds * 1_000 + micros // 1_000, sent_ms)
        sent_ms = monotonic_ms()
        at_ms = node.clock.at(sent_ms)
        call = encode([entry], not_after_ms=at_ms + CALL_TIMEOUT_MS, at_ms=at_ms)
        try:
            reply = reply_decode(self._evaluate(call))
        except CallLate as late:
            node.observe(late.store_ms, sent_ms)
            raise
        node.observe(reply[0], sent_ms)
        return reply

    def _evaluate(self, call: Call) -> bytes:
        script = check_script()
        arguments = [*call.keys, call.argument]
        try:
            raw = self._redis.evalsha(script.sha.decode(), len(call.keys), *arguments)
        except NoScriptError:
            raw = self._redis.eval(script.body.decode(), len(call.keys), *arguments)
        return cast("bytes", raw)


class _Node:
    """What is known of a node; `target` sends a command without keys to it."""

    def __init__(self, target: dict[str, Any]) -> None:
        self.target = target
        self.clock = StoreClock()
        self.breaker = Breaker()

    def observe(self, store_ms: int, sent_ms: int) -> None:
        self.clock.observe(store_ms, sent_ms=sent_ms, received_ms=monotonic_ms())
