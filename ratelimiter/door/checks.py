"""The check itself: who is asking, what about, and the answer with its event.

A check passes through here twice: `_judge` up to its submission, `_decided` with the decision; between the two only the
store works. Whatever goes wrong becomes an answer, nothing is raised into the parser or the store.
"""

import itertools
import logging
import time
from collections.abc import Callable
from functools import partial

from ratelimiter.door.auth import permission_verify, raw_credential
from ratelimiter.door.exchange import Exchange
from ratelimiter.door.local import LocalDecisions
from ratelimiter.door.metrics import Tally
from ratelimiter.door.outbox import Outbox
from ratelimiter.door.render import Renderer
from ratelimiter.engine.clock import unix_ms
from ratelimiter.engine.decision import Check, Decision
from ratelimiter.engine.errors import EngineError, Unavailable
from ratelimiter.engine.interpret import Outcome
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.records import Idempotency
from ratelimiter.engine.wire.decode import check_decode, idempotency_of
from ratelimiter.engine.wire.render import Answer, decision_render, error_render
from ratelimiter.events.schema import event_from
from ratelimiter.snapshot.callers import Caller, Callers
from ratelimiter.snapshot.credentials import NO_RULES_YET, credential_key
from ratelimiter.snapshot.model import Scope
from ratelimiter.store.coalescer import Decided
from ratelimiter.store.live import LiveCounts
from ratelimiter.store.topology import CheckStore

Judge = Callable[[Exchange, Caller], None]

_log = logging.getLogger("ratelimiter.door")


class Checks:
    def __init__(
        self,
        *,
        boot: str,
        callers: Callers,
        coalescer: CheckStore,
        outbox: Outbox,
        renderer: Renderer,
        tally: Tally,
        live: LiveCounts,
    ) -> None:
        self._prefix = f"chk_{boot}"
        self._numbers = itertools.count(1)
        self._callers = callers
        self._coalescer = coalescer
        self._outbox = outbox
        self._renderer = renderer
        self._tally = tally
        self._live = live
        self.local = LocalDecisions(coalescer.submit)
        self.now_ms = unix_ms()

    def tick(self, now_ms: int) -> None:
        """Ten times a second: the store's time, by which keys and overrides expire."""
        self.now_ms = now_ms
        self.local.tick(time.perf_counter_ns())

    def stop(self) -> None:
        """While the store can still be asked."""
        self.local.stop(time.perf_counter_ns())

    def check(self, exchange: Exchange) -> None:
        known = self._callers.get(exchange.authorization or b"") if exchange.api_key is None else None
        if known is not None:
            self._resolved(exchange, self._judge, Scope.CHECK, known)
        else:
            self.admit(exchange, self._judge)

    def admit(self, exchange: Exchange, judge: Judge, *, scope: Scope = Scope.CHECK) -> None:
        """Calls `judge` with the caller, once it is known and its key has the scope; answers otherwise."""
        try:
            raw = raw_credential(exchange)
            caller = self._callers.get(raw)
            if caller is None:
                key = credential_key(raw)
                self._callers.resolve(raw, key, partial(self._resolved, exchange, judge, scope))
                return
        except EngineError as error:
            self.fail(exchange, error)
            return
        self._resolved(exchange, judge, scope, caller)

    def submit(
        self, caller: Caller, check: Check, decided: Decided, started_ns: int, idempotency: Idempotency | None = None
    ) -> int:
        """Returns the check's weight. Raises EngineError; then `decided` is not called."""
        rule_set = self.rules_of(caller)
        prepared = prepare(
            rule_set,
            check,
            live=caller.live,
            now_ms=self.now_ms,
            check_id=f"{self._prefix}{next(self._numbers):08x}",
            idempotency=idempotency,
        )
        self.local.submit(prepared, decided, leases=rule_set.leases, started_ns=started_ns)
        return prepared.weight

    def rules_of(self, caller: Caller) -> RuleSet:
        """Raises Unavailable."""
        rule_set = caller.state.rule_set
        if rule_set is None:
            raise Unavailable(NO_RULES_YET)
        return rule_set

    def decided(self, caller: Caller, check: Check, outcome: Outcome, *, started_ns: int) -> Answer:
        """The answer; the event and the counts go where they belong."""
        if not isinstance(outcome, Decision):
            return self.refusal(outcome)
        decision = outcome
        latency_us = (time.perf_counter_ns() - started_ns) // 1_000
        self._tally.decision(decision, latency_us)
        if not decision.allowed and not decision.degraded and not decision.recorded and check.mode == "consume":
            self.local.learn(decision, check.cost, started_ns)
        if check.mode != "peek":
            identity = caller.identity
            tenant, key_id, live = identity.tenant, identity.key_id, identity.live
            self._outbox.events.append(event_from(check, decision, latency_us, tenant, key_id, live=live))
            if not decision.replayed:
                self._live.count(decision, tenant, key_id, live=live)
        return decision_render(decision)

    def answer_made(self, exchange: Exchange, make: Callable[[], Answer]) -> None:
        """For callbacks of the store, which must not raise."""
        try:
            self.answer(exchange, make())
        except Exception:  # noqa: BLE001 - the other checks of this call want their answers
            self.fail(exchange, self.mistake())

    def refusal(self, outcome: Outcome) -> Answer:
        """What there is instead of a decision."""
        return error_render(outcome if isinstance(outcome, EngineError) else self.mistake())

    def answer(self, exchange: Exchange, answer: Answer) -> None:
        self._tally.answers[answer.status] += 1
        data = self._renderer.render(answer, exchange.request_id, next(self._numbers))
        if exchange.method == b"HEAD":
            data = data[: len(data) - len(answer.body)]
        self._outbox.put(exchange, data)

    def fail(self, exchange: Exchange, error: EngineError) -> None:
        self.answer(exchange, error_render(error))

    def mistake(self) -> EngineError:
        """In an `except`: this is our fault, and the caller hears only that."""
        _log.exception("a check could not be answered")
        return EngineError("this server made a mistake; it has been recorded")

    def _resolved(self, exchange: Exchange, judge: Judge, scope: Scope, caller: Caller | EngineError) -> None:
        if isinstance(caller, EngineError):
            self.fail(exchange, caller)
            return
        try:
            if not caller.is_plain or scope is not Scope.CHECK or caller.state.suspended:
                permission_verify(caller, scope, now_ms=self.now_ms)
            judge(exchange, caller)
        except EngineError as error:
            self.fail(exchange, error)
        except Exception:  # noqa: BLE001 - one broken check must not take the connection's others with it
            self.fail(exchange, self.mistake())

    def _judge(self, exchange: Exchange, caller: Caller) -> None:
        body = bytes(exchange.body)
        check = check_decode(body)
        idempotency = idempotency_of(exchange.idempotency_key, body) if exchange.idempotency_key is not None else None
        self.submit(caller, check, partial(self._decided, exchange, caller, check), exchange.started_ns, idempotency)

    def _decided(self, exchange: Exchange, caller: Caller, check: Check, outcome: Outcome) -> None:
        try:
            self.answer(exchange, self.decided(caller, check, outcome, started_ns=exchange.started_ns))
        except Exception:  # noqa: BLE001 - the other checks of this call want their answers
            self.fail(exchange, self.mistake())
