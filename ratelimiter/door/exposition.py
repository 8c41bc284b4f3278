"""/metrics on a port of its own: any worker answers for all of them."""

import asyncio
from typing import cast

from ratelimiter.door.metrics import CONTENT_TYPE, metrics_render

MAX_REQUEST_BYTES = 8_192
TIMEOUT_S = 5


class Exposition(asyncio.Protocol):
    """HTTP enough for a scraper: one GET per connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received = b""
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop.call_later(TIMEOUT_S, self._transport.close)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MAX_REQUEST_BYTES:
            self._transport.close()
        elif b"\r\n\r\n" in self._received and self._answering is None:
            self._answering = self._loop.create_task(self._answer())

    async def _answer(self) -> None:
        target = self._received.split(b" ", 2)[1:2]
        if self._received.startswith(b"GET ") and target == [b"/metrics"]:
            body = await self._loop.run_in_executor(None, metrics_render)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\n"
        else:
            body = b"Only GET /metrics is answered here.\n"
            head = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n"
        self._transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self._transport.close()
