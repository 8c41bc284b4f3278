"""Everything that one process's connections share: the routes, the clock, the list of connections."""

import asyncio
import time

from ratelimiter.door.authz import Gateways
from ratelimiter.door.batch import Batches
from ratelimiter.door.checks import Checks
from ratelimiter.door.exchange import Exchange
from ratelimiter.door.explain import Explanations
from ratelimiter.door.give_back import GiveBacks
from ratelimiter.door.heads import Heads
from ratelimiter.door.health import Health
from ratelimiter.door.protocol import HttpConnection
from ratelimiter.door.routes import (
    AUTHZ,
    BATCH,
    CHECK,
    CHECK_ALIAS,
    CHECKS,
    EXPLAIN,
    HEALTHZ,
    READYZ,
    Route,
    body_limit,
    path_of,
)
from ratelimiter.door.settings import DoorSettings
from ratelimiter.engine.errors import EngineError, MethodNotAllowed, NotFound
from ratelimiter.engine.wire.render import Answer, error_render

SWEEPS_A_SECOND = 10  # each looks at a tenth of the connections


class DoorService:
    def __init__(
        self,
        *,
        settings: DoorSettings,
        checks: Checks,
        batches: Batches,
        give_backs: GiveBacks,
        explanations: Explanations,
        gateways: Gateways,
        health: Health,
    ) -> None:
        self.settings = settings
        self.now_s = time.monotonic()
        self.draining = False
        self.heads = Heads()
        self._checks = checks
        self._give_backs = give_backs
        self._gateways = gateways
        self._health = health
        self._shares: list[set[HttpConnection]] = [set() for _ in range(SWEEPS_A_SECOND)]
        self._turn = 0
        self._routes = {
            CHECK: Route((b"POST",), checks.check),
            CHECK_ALIAS: Route((b"POST",), checks.check),
            BATCH: Route((b"POST",), batches.check),
            EXPLAIN: Route((b"POST",), explanations.handle),
            HEALTHZ: Route((b"GET", b"HEAD"), lambda exchange: checks.answer(exchange, health.alive())),
            READYZ: Route((b"GET", b"HEAD"), lambda exchange: checks.answer(exchange, health.ready())),
        }

    @property
    def connections(self) -> int:
        return sum(map(len, self._shares))

    def handle(self, exchange: Exchange) -> None:
        exchange.started_ns = time.perf_counter_ns()
        route = self._routes.get(exchange.path) or self._routes.get(path_of(exchange.path))
        if route is None:
            self._handle_tree(exchange, path_of(exchange.path))
        elif exchange.method not in route.methods:
            self._checks.answer(exchange, _method_not_allowed(route.methods))
        else:
            route.handle(exchange)

    def _handle_tree(self, exchange: Exchange, path: bytes) -> None:
        if path == AUTHZ or path.startswith(AUTHZ + b"/"):
            self._gateways.handle(exchange)
        elif not path.startswith(CHECKS):
            self._checks.fail(exchange, NotFound("there is nothing at this path"))
        elif exchange.method != b"POST":
            self._checks.answer(exchange, _method_not_allowed((b"POST",)))
        else:
            self._give_backs.handle(exchange, path)

    def refuse(self, exchange: Exchange, error: EngineError) -> None:
        self._checks.fail(exchange, error)

    def body_limit(self, path: bytes) -> int:
        return body_limit(path)

    def connected(self, connection: HttpConnection) -> bool:
        self._shares[hash(connection) // 64 % SWEEPS_A_SECOND].add(connection)
        return self.connections <= self.settings.door_max_connections

    def disconnected(self, connection: HttpConnection) -> None:
        self._shares[hash(connection) // 64 % SWEEPS_A_SECOND].discard(connection)

    def sweep(self) -> None:
        """To be called SWEEPS_A_SECOND times a second."""
        self.now_s = time.monotonic()
        self._turn = (self._turn + 1) % SWEEPS_A_SECOND
        for connection in list(self._shares[self._turn]):
            connection.sweep(self.now_s)

    async def drain(self, *, patience_s: float, longest_s: float) -> None:
        """Answers what is under way and closes every connection behind its answer.

        A connection without a request gets `patience_s` to bring one: closing it at once could meet a request that is
        on its way already. What is left after `longest_s` is cut off.
        """
        self.draining = self._health.draining = True
        begun = time.monotonic()
        while self.connections:
            elapsed_s = time.monotonic() - begun
            for connection in set[HttpConnection]().union(*self._shares):
                if elapsed_s > longest_s:
                    connection.abort()
                elif elapsed_s > patience_s:
                    connection.close_if_idle()
            await asyncio.sleep(0.02)


def _method_not_allowed(methods: tuple[bytes, ...]) -> Answer:
    allowed = b", ".join(methods).decode()
    answer = error_render(MethodNotAllowed(f"use {allowed}"))
    return answer._replace(head=f"{answer.head}Allow: {allowed}\r\n")
