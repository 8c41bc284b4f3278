"""How a reader of snapshots asks Redis. A door hands in its link; this room knows no sockets."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

Reply = Callable[[Any], None]


class Source(Protocol):
    """Answers may come in any order. Failures arrive as exceptions: passed to the callback by `call`, raised by the
    future of `ask`.
    """

    @property
    def is_up(self) -> bool: ...

    async def wait_up(self) -> None: ...

    def call(self, callback: Reply, *parts: str | bytes | int, timeout_s: float = ...) -> None: ...

    def ask(self, *parts: str | bytes | int, timeout_s: float = ...) -> asyncio.Future[Any]: ...
