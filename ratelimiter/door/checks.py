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
from ratelimiter.door.metrics import Tally
from ratelimiter.door.outbox import Outbox
from ratelimiter.door.render import Renderer
from ratelimiter.engine.clock import unix_ms
from ratelimiter.engine.decision import Check, Decision
from ratelimiter.engine.errors import EngineError, Unavailable
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.wire.decode import check_decode, idempotency_key_refuse
from ratelimiter.engine.wire.render import Answer, decision_render, error_render
from ratelimiter.events.schema import event_from
from ratelimiter.snapshot.callers import Caller, Callers
from ratelimiter.snapshot.credentials import NO_RULES_YET, credential_key
from ratelimiter.store.coalescer import Coalescer, Decided
from ratelimiter.store.live import LiveCounts

Judge = Callable[[Exchange, Caller], None]

_log = logging.getLogger("ratelimiter.door")


class Checks:
    def __init__(
        self,
        *,
        boot: str,
        callers: Callers,
        coalescer: Coalescer,
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

    def check(self, exchange: Exchange) -> None:
        self.admit(exchange, self._judge)

    def admit(self, exchange: Exchange, judge: Judge) -> None:
        """Calls `judge` with the caller, once it is known and may check; answers otherwise."""
        try:
            idempotency_key_refuse(exchange.idempotency_key)
            raw = raw_credential(exchange)
            caller = self._callers.get(raw)
            if caller is None:
                key = credential_key(raw)
                self._callers.resolve(raw, key, partial(self._resolved, exchange, judge))
                return
        except EngineError as error:
            self.fail(exchange, error)
            return
        self._resolved(exchange, judge, caller)

    def submit(self, caller: Caller, check: Check, decided: Decided) -> int:
        """Returns how many rules the check met. Raises EngineError; then `decided` is not called."""
        rule_set = caller.state.rule_set
        if rule_set is None:
            raise Unavailable(NO_RULES_YET)
        prepared = prepare(rule_set, check, live=caller.live)
        self._coalescer.submit(prepared, decided)
        return len(prepared.rules)

    def decided(self, caller: Caller, check: Check, decision: Decision, *, started_ns: int) -> tuple[Answer, int]:
        """The answer and its number; the event and the counts go where they belong."""
        number = next(self._numbers)
        check_id = f"{self._prefix}{number:08x}"
        latency_us = (time.perf_counter_ns() - started_ns) // 1_000
        self._tally.decision(decision, latency_us)
        if check.mode != "peek":
            identity = caller.identity
            self._outbox.events.append(
                event_from(
                    check,
                    decision,
                    id=check_id,
                    at_ms=unix_ms(),
                    latency_us=latency_us,
                    tenant=identity.tenant,
                    key_id=identity.key_id,
                    live=identity.live,
                )
            )
            self._live.count(decision, tenant=identity.tenant, key_id=identity.key_id, live=identity.live)
        return decision_render(decision, check_id), number

    def answer(self, exchange: Exchange, answer: Answer, number: int = 0) -> None:
        self._tally.answers[answer.status] += 1
        data = self._renderer.render(answer, exchange.request_id, number or next(self._numbers))
        if exchange.method == b"HEAD":
            data = data[: len(data) - len(answer.body)]
        self._outbox.put(exchange, data)

    def fail(self, exchange: Exchange, error: EngineError) -> None:
        self.answer(exchange, error_render(error))

    def mistake(self) -> EngineError:
        """In an `except`: this is our fault, and the caller hears only that."""
        _log.exception("a check could not be answered")
        return EngineError("this server made a mistake; it has been recorded")

    def _resolved(self, exchange: Exchange, judge: Judge, caller: Caller | EngineError) -> None:
        if isinstance(caller, EngineError):
            self.fail(exchange, caller)
            return
        try:
            permission_verify(caller)
            judge(exchange, caller)
        except EngineError as error:
            self.fail(exchange, error)
        except Exception:  # noqa: BLE001 - one broken check must not take the connection's others with it
            self.fail(exchange, self.mistake())

    def _judge(self, exchange: Exchange, caller: Caller) -> None:
        check = check_decode(bytes(exchange.body))
        self.submit(caller, check, partial(self._decided, exchange, caller, check))

    def _decided(self, exchange: Exchange, caller: Caller, check: Check, decision: Decision) -> None:
        try:
            answer, number = self.decided(caller, check, decision, started_ns=exchange.started_ns)
            self.answer(exchange, answer, number)
        except Exception:  # noqa: BLE001 - the other checks of this call want their answers
            self.fail(exchange, self.mistake())
