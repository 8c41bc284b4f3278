"""POST /v1/checks/{id}/refund and …/release: what a recorded check took, given back once.

Two steps: the record says which counters the check charged, then one script call gives back on all of them, if the
record still says that nobody did. A refund is answered HOLD_MS later, so that it is seen by every check that follows
the answer (store/denials.py).
"""

import asyncio
import re
from functools import partial
from typing import Any

from ratelimiter.door.checks import Checks
from ratelimiter.door.exchange import Exchange
from ratelimiter.engine.errors import EngineError, NotFound, Unavailable
from ratelimiter.engine.interpret import GivenBack, Outcome
from ratelimiter.engine.records import REFUND, RELEASE, check_record_key, give_back_from
from ratelimiter.engine.wire.decode import amount_decode
from ratelimiter.engine.wire.render import Answer, given_back_render
from ratelimiter.snapshot.callers import Caller
from ratelimiter.snapshot.model import Scope
from ratelimiter.store.denials import HOLD_MS
from ratelimiter.store.topology import CheckStore

_PATH = re.compile(rb"/v1/checks/([^/]+)/(refund|release)")
_WHAT = {b"refund": (REFUND, Scope.REFUND), b"release": (RELEASE, Scope.CHECK)}


class GiveBacks:
    def __init__(self, loop: asyncio.AbstractEventLoop, checks: Checks, coalescer: CheckStore) -> None:
        self._loop = loop
        self._checks = checks
        self._coalescer = coalescer

    def handle(self, exchange: Exchange, path: bytes) -> None:
        found = _PATH.fullmatch(path)
        if found is None:
            self._checks.fail(exchange, NotFound("there is nothing at this path"))
            return
        check_id = found[1].decode("latin-1")
        what, scope = _WHAT[found[2]]
        self._checks.admit(exchange, partial(self._look_up, check_id, what), scope=scope)

    def _look_up(self, check_id: str, what: int, exchange: Exchange, caller: Caller) -> None:
        amount = amount_decode(bytes(exchange.body)) if what == REFUND else None
        key = check_record_key(caller.identity.tenant, check_id, live=caller.live)
        self._coalescer.fetch(key, partial(self._looked_up, exchange, caller, check_id, key, what, amount))

    def _looked_up(
        self, exchange: Exchange, caller: Caller, check_id: str, key: bytes, what: int, amount: int | None, raw: Any
    ) -> None:
        try:
            if isinstance(raw, Exception):
                raise Unavailable("what was counted cannot be reached right now; try again")  # noqa: TRY301
            entry = give_back_from(caller.identity.tenant, key, raw, what, amount)
        except EngineError as error:
            self._checks.fail(exchange, error)
        except Exception:  # noqa: BLE001 - the connection's other requests want their answers
            self._checks.fail(exchange, self._checks.mistake())
        else:
            self._coalescer.submit(entry, partial(self._given_back, exchange, check_id, what))

    def _given_back(self, exchange: Exchange, check_id: str, what: int, outcome: Outcome) -> None:
        def make() -> Answer:
            if isinstance(outcome, GivenBack):
                return given_back_render(check_id, what, outcome.amount)
            return self._checks.refusal(outcome)

        # Denials that doors hold are from before this. What is released frees at once: such denials are not held.
        wait_s = HOLD_MS / 1_000 if what == REFUND else 0
        self._loop.call_later(wait_s, self._checks.answer_made, exchange, make)
