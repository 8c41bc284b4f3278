"""POST /v1/check/batch: up to 100 independent checks, submitted in order, each with a status of its own.

A batch may hold a thousand rule evaluations. They are submitted a handful per turn of the event loop, so that one
caller's batch does not hold up everybody else's single checks.
"""

import asyncio
import time
from functools import partial

import msgspec

from ratelimiter.door.checks import Checks
from ratelimiter.door.exchange import Exchange
from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import EngineError
from ratelimiter.engine.interpret import Outcome
from ratelimiter.engine.wire.decode import batch_decode, check_decode, idempotency_of
from ratelimiter.engine.wire.render import Answer, batch_render, error_render
from ratelimiter.snapshot.callers import Caller

EVALUATIONS_A_TURN = 64


class Batches:
    def __init__(self, loop: asyncio.AbstractEventLoop, checks: Checks) -> None:
        self._loop = loop
        self._checks = checks

    def check(self, exchange: Exchange) -> None:
        self._checks.admit(exchange, self._judge)

    def _judge(self, exchange: Exchange, caller: Caller) -> None:
        _Run(self._loop, self._checks, exchange, caller, batch_decode(bytes(exchange.body))).go_on()


class _Run:
    __slots__ = ("_answers", "_caller", "_checks", "_entries", "_exchange", "_loop", "_missing", "_next")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        checks: Checks,
        exchange: Exchange,
        caller: Caller,
        entries: list[msgspec.Raw],
    ) -> None:
        self._loop = loop
        self._checks = checks
        self._exchange = exchange
        self._caller = caller
        self._entries = entries
        self._answers: list[Answer | None] = [None] * len(entries)
        self._missing = len(entries)
        self._next = 0

    def go_on(self) -> None:
        room = EVALUATIONS_A_TURN
        while self._next < len(self._entries) and room > 0:
            position = self._next
            self._next += 1
            room -= 1 + self._submit(position)
        if self._next < len(self._entries):
            self._loop.call_soon(self.go_on)

    def _submit(self, position: int) -> int:
        try:
            body = bytes(self._entries[position])
            check = check_decode(body)
            idempotency = idempotency_of(self._exchange.idempotency_key, body, position=position)
            started_ns = time.perf_counter_ns()
            decided = partial(self._decided, position, check, started_ns)
            return self._checks.submit(self._caller, check, decided, started_ns, idempotency)
        except EngineError as error:
            self._answered(position, error_render(error))
            return 0
        except Exception:  # noqa: BLE001 - the other entries want their answers
            self._broke(position)
            return 0

    def _decided(self, position: int, check: Check, started_ns: int, outcome: Outcome) -> None:
        try:
            answer = self._checks.decided(self._caller, check, outcome, started_ns=started_ns)
        except Exception:  # noqa: BLE001 - the other checks of this call want their answers
            self._broke(position)
        else:
            self._answered(position, answer)

    def _answered(self, position: int, answer: Answer) -> None:
        self._answers[position] = answer
        self._missing -= 1
        if not self._missing:
            self._checks.answer(self._exchange, batch_render([held for held in self._answers if held is not None]))

    def _broke(self, position: int) -> None:
        self._answered(position, error_render(self._checks.mistake()))
