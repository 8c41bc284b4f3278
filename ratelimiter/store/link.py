"""One connection to Redis, kept made.

A `Link` opens it at the first of its candidates that is fit, prepares it (SCRIPT LOAD, TIME, a look at the role) and
opens the next one when it is lost. Nothing is ever sent twice.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import hiredis

from ratelimiter.engine.clock import StoreClock, monotonic_ms
from ratelimiter.engine.errors import StoreFailed
from ratelimiter.engine.scripts import Script
from ratelimiter.store.address import Access, Node
from ratelimiter.store.connection import (
    HANDSHAKE_TIMEOUT_S,
    Callback,
    Connection,
    Word,
    command_pack,
    connection_open,
)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
ROLE_EVERY_S = 1.0
ROLE_TIMEOUT_S = 3.0  # a reader of the change stream may stand before it for a second

Candidates = Callable[[], AsyncIterator[Node]]  # where to connect, best first; may raise StoreFailed

_log = logging.getLogger("ratelimiter.store")
_ASKING = command_pack(b"ASKING")


def always(*nodes: Node) -> Candidates:
    async def candidates() -> AsyncIterator[Node]:
        for node in nodes:
            yield node

    return candidates


class Link:
    """`on_up` and `on_down` are called when the connection becomes usable and when it is lost.

    With `masters_only` a node of another role is no candidate, and one that loses the role is left within seconds.
    """

    def __init__(
        self, access: Access, candidates: Candidates, *, script: Script | None = None, masters_only: bool = False
    ) -> None:
        self._access = access
        self._candidates = candidates
        self._script = script
        self._masters_only = masters_only
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.node: Node | None = None  # of the connection that is, or last was
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

    def call(self, callback: Callback, *words: Word, timeout_s: float = 1.0, asking: bool = False) -> None:
        """With `asking` a node that is taking a slot over answers for it, this once."""
        if asking:
            self.send(_ASKING, _ignore, timeout_s=timeout_s)
        self.send(command_pack(*words), callback, timeout_s=timeout_s)

    def ask(self, *words: Word, timeout_s: float = 1.0) -> asyncio.Future[Any]:
        """Raises StoreFailed at once when there is no connection."""
        if self._connection is None:
            raise StoreFailed("there is no connection to Redis")
        return self._connection.ask(*words, timeout_s=timeout_s)

    def evaluate(
        self, keys: Sequence[bytes], argument: bytes, callback: Callback, *, timeout_s: float, asking: bool = False
    ) -> None:
        """Runs the script. A script that Redis has forgotten is sent along: nothing had run, so nothing runs twice."""
        assert self._script is not None
        script = self._script

        def settle(reply: Any) -> None:
            if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
                self.call(
                    callback, b"EVAL", script.body, len(keys), *keys, argument, timeout_s=timeout_s, asking=asking
                )
            else:
                callback(reply)

        self.call(settle, b"EVALSHA", script.sha, len(keys), *keys, argument, timeout_s=timeout_s, asking=asking)

    def drop(self, why: str) -> None:
        if self._connection is not None:
            self._connection.drop(why)

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                connection = await self._find()
            except StoreFailed as failure:
                _log.warning("no connection to Redis: %s", failure)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            pause_s = FIRST_PAUSE_S
            if connection.is_open:
                self._lost.clear()
                self._connection = connection
                self._up.set()
                self.on_up()
                await self._stay(connection)
            await asyncio.sleep(pause_s)

    async def _find(self) -> Connection:
        failure = StoreFailed("nobody says where it is")
        async for node in self._candidates():
            try:
                connection = await asyncio.wait_for(self._open(node), HANDSHAKE_TIMEOUT_S)
            except (OSError, TimeoutError, UnicodeError, StoreFailed, hiredis.ReplyError) as error:
                failure = StoreFailed(f"{node}: {str(error) or 'timed out'}")
            else:
                self.node = node
                return connection
        raise failure

    async def _stay(self, connection: Connection) -> None:
        """Until the connection is lost."""
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), ROLE_EVERY_S if self._masters_only else None)
                return
            try:
                await self._role_verify(connection)
            except (StoreFailed, hiredis.ReplyError) as error:
                connection.drop(str(error))

    async def _open(self, node: Node) -> Connection:
        connection = await connection_open(node, self._access, self._connection_lost)
        try:
            await self._prepare(connection)
        except BaseException:
            connection.drop("the connection to Redis could not be prepared")
            raise
        return connection

    async def _prepare(self, connection: Connection) -> None:
        if self._masters_only:
            await self._role_verify(connection)
        if self._script is not None:
            await connection.ask("SCRIPT", "LOAD", self._script.body, timeout_s=HANDSHAKE_TIMEOUT_S)
            sent_ms = monotonic_ms()
            seconds, micros = await connection.ask("TIME", timeout_s=HANDSHAKE_TIMEOUT_S)
            now_ms = int(seconds) * 1_000 + int(micros) // 1_000
            self.clock.observe(now_ms, sent_ms=sent_ms, received_ms=monotonic_ms())
        # TIME answers while a data set is being read in; this does not.
        await connection.ask("PING", timeout_s=HANDSHAKE_TIMEOUT_S)

    async def _role_verify(self, connection: Connection) -> None:
        role, *_ = await connection.ask("ROLE", timeout_s=ROLE_TIMEOUT_S)
        if role != b"master":
            raise StoreFailed("it is no master")

    def _connection_lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._connection = None
            self._lost.set()
            self.on_down()


def _ignore(_: object) -> None:
    """The reply to ASKING: what follows it will tell."""


def _nothing() -> None:
    """Until somebody wants to know."""
