"""Accepting connections, so that workers share them evenly and none is lost when one stops."""

import asyncio
import logging
import socket
from collections.abc import Callable

ACCEPTS_A_TURN = 4  # the socket stays readable: a worker that is busy leaves the rest to the others
PAUSE_S = 0.1

_log = logging.getLogger("ratelimiter.door")


class Listener:
    """Accepts from a listening socket that other processes listen on too."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._loop = loop
        self._socket = listening
        self._protocol = protocol
        self._starting: set[asyncio.Task[None]] = set()
        listening.settimeout(0)

    def start(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._accept_some)

    def stop(self) -> None:
        """Takes what the kernel has accepted already, then lets go of the socket."""
        self._loop.remove_reader(self._socket.fileno())
        while self._accept():
            pass
        self._socket.close()

    def _accept_some(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            if not self._accept():
                return

    def _accept(self) -> bool:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:  # no file descriptors left, most likely
            _log.warning("a connection cannot be accepted: %s", error)
            self._loop.remove_reader(self._socket.fileno())
            self._loop.call_later(PAUSE_S, self._resume)
            return False
        task = self._loop.create_task(self._begin(connection))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        return True

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self.start()

    async def _begin(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()  # the client has gone already
