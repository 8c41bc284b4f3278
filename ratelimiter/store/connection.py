"""Redis for an event loop, as little of it as a door needs.

`Connection` is one socket: commands go out packed, replies come back in the order of the commands. `Link` keeps one
connection made: it opens it, prepares it (AUTH, SELECT, SCRIPT LOAD, TIME) and opens the next when it is lost.

Guarantees: nothing is ever sent twice. A command whose deadline passes drops the connection, and everything that waits
on it fails at once, because replies have no names: a late one would be taken for the next. Failures reach the callback
as a `StoreFailed`, error replies as a `hiredis.ReplyError`; no callback is forgotten and none is called twice.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis
import msgspec

from ratelimiter.engine.clock import StoreClock, monotonic_ms
from ratelimiter.engine.errors import StoreFailed
from ratelimiter.engine.scripts import Script

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
HANDSHAKE_TIMEOUT_S = 1.0
DEFAULT_PORT = 6379

Part = str | bytes | int
Callback = Callable[[Any], None]

_log = logging.getLogger("ratelimiter.store")


class Address(msgspec.Struct, frozen=True):
    host: str
    port: int
    username: str
    password: str
    database: int


def address_parse(url: str) -> Address:
    """`redis://[[user]:password@]host[:port][/database]`. Raises ValueError with a sentence that shows no password."""
    parts = urlsplit(url)
    if parts.scheme != "redis" or not parts.hostname:
        raise ValueError("the counters' URL must look like redis://[:password@]host[:port][/database]")
    database = parts.path.strip("/") or "0"
    if not database.isdecimal():
        raise ValueError("the path of the counters' URL must be the number of a database")
    return Address(
        parts.hostname,
        parts.port or DEFAULT_PORT,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        int(database),
    )


def command_pack(*parts: Part) -> bytes:
    return cast("bytes", hiredis.pack_command(parts))  # type: ignore[arg-type]  # typed as one of one part


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

    def ask(self, *parts: Part, timeout_s: float) -> asyncio.Future[Any]:
        """For callers that wait: the reply, or StoreFailed, or the error reply raised."""
        future = self._loop.create_future()

        def settle(reply: Any) -> None:
            if future.done():
                return
            if isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)

        self.send(command_pack(*parts), settle, timeout_s=timeout_s)
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


class Link:
    """Keeps one connection to Redis. `on_up` and `on_down` are called when it becomes usable and when it is lost."""

    def __init__(self, address: Address, *, script: Script | None = None) -> None:
        self._address = address
        self._script = script
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.clock = StoreClock()
        self.on_up: Callable[[], None] = _nothing
        self.on_down: Callable[[], None] = _nothing

    @property
    def is_up(self) -> bool:
        return self._connection is not None and self._connection.is_open

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def wait_up(self) -> None:
        while not self.is_up:
            self._up.clear()
            await self._up.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._connection is not None:
            self._connection.drop("this process is stopping")

    def send(self, command: bytes, callback: Callback, *, timeout_s: float) -> None:
        if self._connection is None:
            callback(StoreFailed("there is no connection to Redis"))
        else:
            self._connection.send(command, callback, timeout_s=timeout_s)

    def call(self, callback: Callback, *parts: Part, timeout_s: float = 1.0) -> None:
        self.send(command_pack(*parts), callback, timeout_s=timeout_s)

    def ask(self, *parts: Part, timeout_s: float = 1.0) -> asyncio.Future[Any]:
        """Raises StoreFailed at once when there is no connection."""
        if self._connection is None:
            raise StoreFailed("there is no connection to Redis")
        return self._connection.ask(*parts, timeout_s=timeout_s)

    def evaluate(self, keys: Sequence[bytes], argument: bytes, callback: Callback, *, timeout_s: float) -> None:
        """Runs the script. A script that Redis has forgotten is sent along: nothing had run, so nothing runs twice."""
        assert self._script is not None
        script = self._script

        def settle(reply: Any) -> None:
            if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
                again = command_pack(b"EVAL", script.body, len(keys), *keys, argument)
                self.send(again, callback, timeout_s=timeout_s)
            else:
                callback(reply)

        command = command_pack(b"EVALSHA", script.sha, len(keys), *keys, argument)
        self.send(command, settle, timeout_s=timeout_s)

    def drop(self, why: str) -> None:
        if self._connection is not None:
            self._connection.drop(why)

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                connection = await asyncio.wait_for(self._open(), HANDSHAKE_TIMEOUT_S)
            except (OSError, TimeoutError, StoreFailed, hiredis.ReplyError) as error:
                _log.warning("Redis at %s:%d: %s", self._address.host, self._address.port, str(error) or "timed out")
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            pause_s = FIRST_PAUSE_S
            if connection.is_open:
                self._lost.clear()
                self._connection = connection
                self._up.set()
                self.on_up()
                await self._lost.wait()
            await asyncio.sleep(pause_s)

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(loop, self._connection_lost), self._address.host, self._address.port
        )
        try:
            await self._prepare(connection)
        except BaseException:
            connection.drop("the connection to Redis could not be prepared")
            raise
        return connection

    async def _prepare(self, connection: Connection) -> None:
        address = self._address
        if address.password:
            names = [address.username] if address.username else []
            await connection.ask("AUTH", *names, address.password, timeout_s=HANDSHAKE_TIMEOUT_S)
        if address.database:
            await connection.ask("SELECT", address.database, timeout_s=HANDSHAKE_TIMEOUT_S)
        if self._script is not None:
            await connection.ask("SCRIPT", "LOAD", self._script.body, timeout_s=HANDSHAKE_TIMEOUT_S)
        sent_ms = monotonic_ms()
        seconds, micros = await connection.ask("TIME", timeout_s=HANDSHAKE_TIMEOUT_S)
        now_ms = int(seconds) * 1_000 + int(micros) // 1_000
        self.clock.observe(now_ms, sent_ms=sent_ms, received_ms=monotonic_ms())
        # TIME answers while a data set is being read in; this does not.
        await connection.ask("EXISTS", "ready", timeout_s=HANDSHAKE_TIMEOUT_S)

    def _connection_lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._connection = None
            self._lost.set()
            self.on_down()


def _nothing() -> None:
    """Until somebody wants to know."""
