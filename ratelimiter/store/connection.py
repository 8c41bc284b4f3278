"""One socket to a Redis, as little of it as a door needs.

Commands go out packed, replies come back in the order of the commands. Guarantees: nothing is ever sent twice. A
command whose deadline passes drops the connection, and everything that waits on it fails at once, because replies have
no names: a late one would be taken for the next. Failures reach the callback as a `StoreFailed`, error replies as a
`hiredis.ReplyError`; no callback is forgotten and none is called twice.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from ratelimiter.engine.errors import StoreFailed
from ratelimiter.store.address import Access, Node, tls_context

HANDSHAKE_TIMEOUT_S = 1.0

Word = str | bytes | int
Callback = Callable[[Any], None]


def command_pack(*words: Word) -> bytes:
    return cast("bytes", hiredis.pack_command(words))  # type: ignore[arg-type]  # typed as one of one part


def settles(future: asyncio.Future[Any]) -> Callback:
    """What gives a reply to somebody who waits: raised when it is an exception."""

    def settle(reply: Any) -> None:
        if future.done():
            return
        if isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)

    return settle


class Connection(asyncio.Protocol):
    """One socket. Calls on it are answered in order, or all fail together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[["Connection"], None]) -> None:
        self._loop = loop
        self._on_lost = on_lost
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[Callback, float]] = deque()  # callback, deadline in the loop's time
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_open = False

    def send(self, command: bytes, callback: Callback, *, timeout_s: float) -> None:
        if not self.is_open or self._transport is None:
            callback(StoreFailed("there is no connection to Redis"))
            return
        deadline = self._loop.time() + timeout_s
        self._waiting.append((callback, deadline))
        self._transport.write(command)
        # One timer serves many calls: it looks at the call that waits longest, and sleeps again until that one's end.
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._deadline_check)
        elif deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._deadline_check)

    def ask(self, *words: Word, timeout_s: float) -> asyncio.Future[Any]:
        """For callers that wait: the reply, or StoreFailed, or the error reply raised."""
        future = self._loop.create_future()
        self.send(command_pack(*words), settles(future), timeout_s=timeout_s)
        return future

    def drop(self, why: str) -> None:
        """Closes the socket now and fails what waits."""
        if not self.is_open:
            return
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        waiting, self._waiting = self._waiting, deque()
        failure = StoreFailed(why)
        for callback, _ in waiting:
            callback(failure)
        self._on_lost(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop("the connection to Redis was lost")

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        try:
            reader.feed(data)
            while self._waiting:  # a callback may drop the connection, which empties it
                reply = reader.gets()
                if reply is False:  # an incomplete reply; RESP2 has no booleans
                    return
                self._waiting.popleft()[0](reply)
        except hiredis.ProtocolError:
            self.drop("Redis answered something that is no RESP")

    def _deadline_check(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        deadline = self._waiting[0][1]
        if deadline <= self._loop.time():
            self.drop("Redis did not answer in time")
        else:
            self._timer = self._loop.call_at(deadline, self._deadline_check)


async def connection_open(node: Node, access: Access, on_lost: Callable[[Connection], None]) -> Connection:
    """Connected and authenticated. The caller bounds the time. Raises OSError, StoreFailed and hiredis.ReplyError."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(loop, on_lost), node.host, node.port, ssl=tls_context(access)
    )
    try:
        if access.password:
            names = [access.username] if access.username else []
            await connection.ask("AUTH", *names, access.password, timeout_s=HANDSHAKE_TIMEOUT_S)
        if access.database:
            await connection.ask("SELECT", access.database, timeout_s=HANDSHAKE_TIMEOUT_S)
    except BaseException:
        connection.drop("the connection to Redis could not be prepared")
        raise
    return connection


async def ask_once(node: Node, access: Access, *words: Word, timeout_s: float) -> Any:
    """One question on a connection of its own. Raises OSError, TimeoutError, StoreFailed and hiredis.ReplyError."""
    async with asyncio.timeout(timeout_s):
        connection = await connection_open(node, access, lambda _: None)
        try:
            return await connection.ask(*words, timeout_s=timeout_s)
        finally:
            connection.drop("all has been asked")
