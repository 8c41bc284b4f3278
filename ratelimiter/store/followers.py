"""Two ways to the node that has one slot of a cluster, wherever the slot goes.

They ask as a `Link` does. `SlotSource` shares the cluster's connections and is sent on with the slot. `SlotReader` has
a connection of its own, for reads that block; a redirection ends it, and the next one is made to the new owner.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ratelimiter.store.address import Access, Node
from ratelimiter.store.cluster import Cluster
from ratelimiter.store.connection import Callback, Word, settles
from ratelimiter.store.link import Link


class SlotSource:
    def __init__(self, cluster: Cluster, slot: int) -> None:
        self._cluster = cluster
        self._slot = slot

    @property
    def is_up(self) -> bool:
        return self._cluster.serves(self._slot)

    async def wait_up(self) -> None:
        await self._cluster.wait_serves(self._slot)

    def call(self, callback: Callback, *words: Word, timeout_s: float = 1.0) -> None:
        self._cluster.call(self._slot, callback, *words, timeout_s=timeout_s)

    def ask(self, *words: Word, timeout_s: float = 1.0) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self.call(settles(future), *words, timeout_s=timeout_s)
        return future


class SlotReader:
    def __init__(self, cluster: Cluster, access: Access, slot: int) -> None:
        self._cluster = cluster
        self._slot = slot
        self._link = Link(access, self._owner)

    def start(self) -> None:
        self._link.start()

    async def stop(self) -> None:
        await self._link.stop()

    @property
    def is_up(self) -> bool:
        return self._link.is_up

    async def wait_up(self) -> None:
        await self._link.wait_up()

    def call(self, callback: Callback, *words: Word, timeout_s: float = 1.0) -> None:
        def settle(reply: Any) -> None:
            if isinstance(reply, Exception):
                self._leave_if_moved(reply)
            callback(reply)

        self._link.call(settle, *words, timeout_s=timeout_s)

    def ask(self, *words: Word, timeout_s: float = 1.0) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self.call(settles(future), *words, timeout_s=timeout_s)
        return future

    def _leave_if_moved(self, error: Exception) -> None:
        node = self._link.node
        if node is not None and self._cluster.redirected(error, node) is not None:
            self._link.drop("the slot has moved")

    async def _owner(self) -> AsyncIterator[Node]:
        await self._cluster.wait_serves(self._slot)
        yield self._cluster.owner(self._slot)
