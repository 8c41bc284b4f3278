"""The gunicorn worker class that hosts a door.

gunicorn opens the sockets, starts and restarts the processes and passes signals on; everything between the socket and
the answer is ours. TERM drains: nothing new is accepted, what is under way is answered, and the last answer of each
connection says so. INT and QUIT stop at once.
"""

import asyncio
import logging
import os
import signal
import socket
from typing import Any

import uvloop
from gunicorn.workers.base import Worker

from ratelimiter.door import gunicorn as configuration
from ratelimiter.door.exposition import Exposition
from ratelimiter.door.listener import Listener
from ratelimiter.door.settings import settings_read
from ratelimiter.door.wiring import Door

HEARTBEAT_S = 1.0


class DoorWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    def init_process(self) -> None:
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self._stopping = asyncio.Event()
        own = logging.getLogger("ratelimiter")
        own.handlers = self.log.error_log.handlers
        own.setLevel(self.log.error_log.level)
        super().init_process()

    def load_wsgi(self) -> None:
        """What is loaded instead of a WSGI application. A failure in here stops gunicorn rather than repeat itself."""
        self._door = Door(self.loop, settings_read())

    def init_signals(self) -> None:
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self.loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        self.loop.add_signal_handler(signal.SIGINT, self._stop_now)
        self.loop.add_signal_handler(signal.SIGQUIT, self._stop_now)
        self.loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)
        self.loop.add_signal_handler(signal.SIGWINCH, _nothing)
        signal.signal(signal.SIGABRT, self.handle_abort)

    def run(self) -> None:
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        door = self._door
        await door.start()
        listeners = [Listener(self.loop, held.sock, door.connection) for held in self.sockets]
        if configuration.metrics_socket is not None:
            listeners.append(self._metrics_listener(configuration.metrics_socket))
        for listener in listeners:
            listener.start()
        self.log.info("the door is open")
        await self._until_told()
        beating = self.loop.create_task(self._beat_on())
        for listener in listeners:
            listener.stop()
        await asyncio.sleep(0)  # connections that were just accepted become the service's
        await door.stop()
        beating.cancel()

    def _metrics_listener(self, listening: socket.socket) -> Listener:
        return Listener(self.loop, listening, lambda: Exposition(self.loop))

    async def _until_told(self) -> None:
        while not self._stopping.is_set() and self.ppid == os.getppid():
            self.notify()
            try:
                await asyncio.wait_for(self._stopping.wait(), HEARTBEAT_S)
            except TimeoutError:
                continue

    async def _beat_on(self) -> None:
        while True:
            self.notify()
            await asyncio.sleep(HEARTBEAT_S)

    def _stop_now(self, *_: Any) -> None:
        self.cfg.worker_int(self)
        os._exit(0)


def _nothing() -> None:
    """WINCH is for the arbiter."""
