"""POST /v1/check/explain: what a check would meet, rule by rule, and what it would be told. Counts nothing."""

from functools import partial

import msgspec

from ratelimiter.door.checks import Checks
from ratelimiter.door.exchange import Exchange
from ratelimiter.engine.decision import Decision
from ratelimiter.engine.explain import Explanation, explain
from ratelimiter.engine.interpret import Outcome
from ratelimiter.engine.wire.decode import check_decode
from ratelimiter.engine.wire.render import Answer, explanation_render
from ratelimiter.snapshot.callers import Caller


class Explanations:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    def handle(self, exchange: Exchange) -> None:
        self._checks.admit(exchange, self._judge)

    def _judge(self, exchange: Exchange, caller: Caller) -> None:
        check = msgspec.structs.replace(check_decode(bytes(exchange.body)), mode="peek")
        explanation = explain(self._checks.rules_of(caller), check, now_ms=self._checks.now_ms)
        self._checks.submit(caller, check, partial(self._decided, exchange, explanation), exchange.started_ns)

    def _decided(self, exchange: Exchange, explanation: Explanation, outcome: Outcome) -> None:
        def make() -> Answer:
            if isinstance(outcome, Decision):
                return explanation_render(outcome, explanation)
            return self._checks.refusal(outcome)

        self._checks.answer_made(exchange, make)
