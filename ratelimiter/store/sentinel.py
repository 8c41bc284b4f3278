"""Who the master is, as the sentinels say it.

A link that needs the master asks all sentinels, the last good one first, and takes the first named server that can be
reached and says of itself that it is a master. A connection to one sentinel stays open; once a second it is asked
whether the master has changed, for the case that the old one lives on where the sentinels cannot see it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import hiredis

from ratelimiter.engine.errors import StoreFailed
from ratelimiter.store.address import Address, Node
from ratelimiter.store.connection import ask_once
from ratelimiter.store.link import Link, always

ASK_TIMEOUT_S = 0.5
LOOK_EVERY_S = 1.0

_log = logging.getLogger("ratelimiter.store")


class Sentinels:
    """`on_moved` is called with the master that a sentinel names, whenever that is another than before."""

    def __init__(self, address: Address) -> None:
        self._sentinels = list(address.nodes)
        self._access = address.sentinel_access
        self._question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service)
        self._link = Link(self._access, always(*address.nodes))
        self._named: Node | None = None
        self._task: asyncio.Task[None] | None = None
        self.on_moved: Callable[[Node], None] = lambda _: None

    def start(self) -> None:
        self._link.start()
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._link.stop()

    async def candidates(self) -> AsyncIterator[Node]:
        """The servers that sentinels name as the master, each once. Raises StoreFailed when none names any."""
        named: set[Node] = set()
        for sentinel in list(self._sentinels):
            try:
                node = _node(await ask_once(sentinel, self._access, *self._question, timeout_s=ASK_TIMEOUT_S))
            except (OSError, TimeoutError, StoreFailed, hiredis.ReplyError) as error:
                _log.warning("sentinel %s: %s", sentinel, str(error) or "timed out")
                continue
            self._sentinels.remove(sentinel)
            self._sentinels.insert(0, sentinel)
            if node not in named:
                named.add(node)
                yield node
        if not named:
            raise StoreFailed("no sentinel names a master")

    async def _look(self) -> None:
        while True:
            await self._link.wait_up()
            try:
                node = _node(await self._link.ask(*self._question))
            except (StoreFailed, hiredis.ReplyError) as error:
                _log.warning("a sentinel: %s", error)
            else:
                if self._named is not None and node != self._named:
                    _log.warning("the master is now %s", node)
                    self.on_moved(node)
                self._named = node
            await asyncio.sleep(LOOK_EVERY_S)


def _node(reply: Any) -> Node:
    if reply is None:
        raise StoreFailed("it knows no such service")
    host, port = reply
    return Node(host.decode(), int(port))
