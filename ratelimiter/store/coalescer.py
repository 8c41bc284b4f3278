"""Checks that arrive together share one script call.

What one turn of the event loop brings goes out in one call, over all tenants; at most two calls are in flight, so that
latency stays low and batches grow by themselves with the load. A call holds at most 64 rule evaluations (a Redis busy
with one call serves nobody else); what does not fit waits, the tenants take turns check by check, and within a tenant
checks keep their order of arrival. A node of a Redis Cluster runs no script over several slots: there a call goes out
as one script call a slot, in one go.

Every check is answered exactly once, and soon: by the store, or, when it fails or the queue is too old, by the rules'
own failure policies. There are no futures and no tasks per check, only callbacks; whoever waits promises not to raise.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ratelimiter.engine.clock import monotonic_ms, unix_ms
from ratelimiter.engine.decision import Decision
from ratelimiter.engine.errors import CallLate, StoreFailed
from ratelimiter.engine.failure import Breaker
from ratelimiter.engine.interpret import Outcome, interpret
from ratelimiter.engine.prepare import Call, Prepared, encode, reply_decode
from ratelimiter.engine.prepare import Entry as Asked
from ratelimiter.store.fallback import Fallback
from ratelimiter.store.link import Link

CALL_TIMEOUT_MS = 50
MAX_WAIT_MS = 40  # before a check is sent; with the call's own time it stays below 100
MAX_IN_FLIGHT = 2
MAX_EVALUATIONS = 64
MAX_QUEUED = 20_000

Decided = Callable[[Outcome], None]
Entry = tuple[Asked, Decided, int]  # the check, who wants to know, when it came (monotonic ms)
Part = list[Entry]  # what shares a script call
# A part, the error it met, until when it may be answered (monotonic ms). True when the part is taken care of.
Redirect = Callable[[Part, Exception, int], bool]

_AWAY = ("LOADING", "READONLY")  # the connection leads to where no check can be counted

_log = logging.getLogger("ratelimiter.store")


class Coalescer:
    """One per process and Redis node. `submit` may answer before it returns."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        link: Link,
        fallback: Fallback,
        *,
        split: Callable[[Part], Sequence[Part]] | None = None,
        redirect: Redirect | None = None,
    ) -> None:
        self._loop = loop
        self._link = link
        self._fallback = fallback
        self._split = split
        self._redirect = redirect
        self._breaker = Breaker()
        self._arrivals: Part = []
        self._evaluations = 0  # in _arrivals
        self._backlog: dict[int, deque[Entry]] = {}
        self._turns: deque[int] = deque()  # tenants of the backlog, whose turn is next first
        self._queued = 0  # in _arrivals and _backlog
        self._in_flight = 0
        self._scheduled = False
        self.calls = 0
        self.failures = 0
        link.on_up = self._breaker.succeeded
        link.on_down = self._flush

    def submit(self, prepared: Asked, decided: Decided) -> None:
        count = prepared.weight
        if not count and not prepared.needs_store:
            decided(self._fallback.decide(prepared, unix_ms()))
            return
        now_ms = monotonic_ms()
        if not self._link.is_up or not self._breaker.admits(now_ms) or self._queued >= MAX_QUEUED:
            self._degrade(prepared, decided)
            return
        self._arrivals.append((prepared, decided, now_ms))
        self._evaluations += count
        self._queued += 1
        if not self._scheduled and self._in_flight < MAX_IN_FLIGHT:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def fetch(self, key: bytes, callback: Callable[[Any], None]) -> None:
        """One value as the store has it; a failure arrives as an exception."""
        self._link.call(callback, "GET", key, timeout_s=CALL_TIMEOUT_MS / 1_000)

    def now_ms(self) -> int:
        """The store's time, or ours while it is not known."""
        clock = self._link.clock
        return clock.at(monotonic_ms()) if clock.known else unix_ms()

    def send_on(self, part: Part, deadline_ms: int, *, asking: bool) -> None:
        """Sends what another node has not run, ahead of the queue. The link must be up."""
        self._in_flight += 1
        self._call(part, deadline_ms, self._landed, asking=asking)

    def give_up(self, part: Part) -> None:
        """Degrades what could not be sent on in time; that is no fault of this node."""
        self.failures += 1
        self._degrade_part(part)

    @property
    def is_up(self) -> bool:
        return self._link.is_up

    @property
    def is_idle(self) -> bool:
        return not self._queued and not self._in_flight

    def _flush(self) -> None:
        self._scheduled = False
        if not self._link.is_up:
            self._degrade_everything()
            return
        while self._queued and self._in_flight < MAX_IN_FLIGHT:
            batch = self._take(monotonic_ms() - MAX_WAIT_MS)
            if batch:
                self._send(batch)

    def _take(self, oldest_ms: int) -> Part:
        """The next call's checks. Those that came before `oldest_ms` are degraded on the way."""
        arrivals = self._arrivals
        if not self._turns and self._evaluations <= MAX_EVALUATIONS and arrivals[0][2] >= oldest_ms:
            self._arrivals = []
            self._evaluations = 0
            self._queued -= len(arrivals)
            return arrivals
        self._into_backlog(arrivals)
        taken: Part = []
        room = MAX_EVALUATIONS
        turns = self._turns
        while turns:
            tenant = turns[0]
            queue = self._backlog[tenant]
            count = queue[0][0].weight
            if count > room:
                break
            turns.popleft()
            entry = queue.popleft()
            self._queued -= 1
            if queue:
                turns.append(tenant)
            else:
                del self._backlog[tenant]
            if entry[2] < oldest_ms:
                self._degrade(entry[0], entry[1])
            else:
                taken.append(entry)
                room -= count
        if not taken:
            self._probe_abandoned()
        return taken

    def _into_backlog(self, arrivals: list[Entry]) -> None:
        self._arrivals = []
        self._evaluations = 0
        for entry in arrivals:
            tenant = entry[0].tenant
            queue = self._backlog.get(tenant)
            if queue is None:
                self._backlog[tenant] = deque((entry,))
                self._turns.append(tenant)
            else:
                queue.append(entry)

    def _send(self, batch: Part) -> None:
        parts = [batch] if self._split is None else self._split(batch)
        left = len(parts)

        def landed() -> None:
            nonlocal left
            left -= 1
            if not left:
                self._landed()

        self._in_flight += 1
        deadline_ms = monotonic_ms() + CALL_TIMEOUT_MS
        for part in parts:
            self._call(part, deadline_ms, landed)

    def _call(self, part: Part, deadline_ms: int, landed: Callable[[], None], *, asking: bool = False) -> None:
        self.calls += 1
        sent_ms = monotonic_ms()
        clock = self._link.clock
        at_ms, not_after_ms = clock.at(sent_ms), clock.at(deadline_ms)
        call = encode([entry[0] for entry in part], not_after_ms=not_after_ms, at_ms=at_ms)

        def settle(reply: Any) -> None:
            landed()
            self._settle(part, call, sent_ms, deadline_ms, reply, asking=asking)

        timeout_s = (deadline_ms - sent_ms) / 1_000
        self._link.evaluate(call.keys, call.argument, settle, timeout_s=timeout_s, asking=asking)

    def _landed(self) -> None:
        self._in_flight -= 1
        if self._queued and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _settle(self, part: Part, call: Call, sent_ms: int, deadline_ms: int, reply: Any, *, asking: bool) -> None:
        if isinstance(reply, Exception):
            if self._redirect is None or not self._redirect(part, reply, deadline_ms):
                self._fail(part, StoreFailed(str(reply)))
            elif self._breaker.open:
                self._breaker.succeeded()
            return
        try:
            numbers = reply_decode(reply)
        except CallLate as late:
            now_ms = monotonic_ms()
            self._link.clock.observe(late.store_ms, sent_ms=sent_ms, received_ms=now_ms)
            if now_ms < deadline_ms:  # it was not late: the store's clock was set, which we know now; nothing has run
                self.send_on(part, deadline_ms, asking=asking)
            else:
                self._fail(part, late)
            return
        except StoreFailed as failure:
            self._fail(part, failure)
            return
        self._link.clock.observe(numbers[0], sent_ms=sent_ms, received_ms=monotonic_ms())
        if self._breaker.open:
            self._breaker.succeeded()
        self._answer(part, numbers, call.offsets)

    def _answer(self, part: Part, numbers: Sequence[int], offsets: list[int]) -> None:
        observe = self._fallback.observe
        for (prepared, decided, _), offset in zip(part, offsets, strict=True):
            try:
                decision = interpret(prepared, numbers, offset)
                if type(decision) is Decision and type(prepared) is Prepared:
                    observe(prepared, decision)
            except Exception:  # noqa: BLE001 - the other checks of this call want their answers
                _log.exception("a reply cannot be interpreted")
                decision = self._fallback.decide(prepared, unix_ms())
            decided(decision)

    def _fail(self, part: Part, failure: StoreFailed) -> None:
        self.failures += 1
        now_ms = monotonic_ms()
        if not self._breaker.open:
            _log.warning("checks degrade: %s", failure)
        self._breaker.failed(now_ms)
        if str(failure).startswith(_AWAY):
            self._link.drop(str(failure))
        self._degrade_part(part)

    def _degrade(self, prepared: Asked, decided: Decided) -> None:
        decided(self._fallback.decide(prepared, unix_ms()))

    def _degrade_part(self, part: Part) -> None:
        for prepared, decided, _ in part:
            self._degrade(prepared, decided)

    def _degrade_everything(self) -> None:
        self._into_backlog(self._arrivals)
        backlog, self._backlog = self._backlog, {}
        self._turns.clear()
        self._queued = 0
        self._probe_abandoned()
        for queue in backlog.values():
            for prepared, decided, _ in queue:
                self._degrade(prepared, decided)

    def _probe_abandoned(self) -> None:
        """The check that was to try an open breaker was never sent."""
        if self._breaker.open:
            self._breaker.failed(monotonic_ms())
