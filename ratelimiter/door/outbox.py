"""Answers wait here until their events are on the spool.

Everything that was decided in one turn of the event loop leaves together: one write to the spool, then one write per
connection. So no answer is seen by its caller before its event would survive this process.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from ratelimiter.door.exchange import Exchange
from ratelimiter.events.schema import Event
from ratelimiter.events.spool import Spool

if TYPE_CHECKING:
    from ratelimiter.door.protocol import HttpConnection

_log = logging.getLogger("ratelimiter.door")


class Outbox:
    def __init__(self, loop: asyncio.AbstractEventLoop, spool: Spool) -> None:
        self._loop = loop
        self._spool = spool
        self._connections: list[HttpConnection] = []
        self._scheduled = False
        self.events: list[Event] = []

    def put(self, exchange: Exchange, answer: bytes) -> None:
        exchange.answer = answer
        connection = exchange.connection
        if not connection.release_due:
            connection.release_due = True
            self._connections.append(connection)
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self.flush)

    def flush(self) -> None:
        self._scheduled = False
        if self.events:
            events, self.events = self.events, []
            try:
                self._spool.append(events)
            except Exception:  # noqa: BLE001 - events never stop an answer
                _log.exception("%d events could not be written", len(events))
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.release_due = False
            connection.release()
