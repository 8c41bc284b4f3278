"""A door's way to its store, whatever stands behind the address.

| | checks | every other question | the change stream |
|---|---|---|---|
| one Redis | a link | a link | a link |
| Sentinel | the same three, to the master | | |
| Cluster | a link to each master | another one to each master | a link to the owner of the published data |
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ratelimiter.engine import keys
from ratelimiter.engine.prepare import Entry
from ratelimiter.engine.scripts import check_script
from ratelimiter.store.address import Address, Node, Topology
from ratelimiter.store.cluster import Cluster
from ratelimiter.store.coalescer import Coalescer, Decided
from ratelimiter.store.connection import Callback
from ratelimiter.store.fallback import Fallback
from ratelimiter.store.followers import SlotReader, SlotSource
from ratelimiter.store.link import Link, always
from ratelimiter.store.sentinel import Sentinels
from ratelimiter.store.slots import key_slot


class CheckStore(Protocol):
    """Where checks are counted. `submit` may answer before it returns; `calls` and `failures` count script calls."""

    def submit(self, entry: Entry, decided: Decided, /) -> None: ...

    def fetch(self, key: bytes, callback: Callback) -> None: ...

    def now_ms(self) -> int: ...

    @property
    def is_up(self) -> bool: ...

    @property
    def is_idle(self) -> bool: ...

    @property
    def calls(self) -> int: ...

    @property
    def failures(self) -> int: ...


class Running(Protocol):
    def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Store:
    """`source` answers questions about the published data, `changes` those that block;
    `command(callback, name, key, …)` is for one key of any kind. Nothing is connected before `start`.
    """

    checks: CheckStore
    source: Link | SlotSource
    changes: Link | SlotReader
    command: Callable[..., None]
    _parts: tuple[Running, ...]
    _first: Link | Cluster

    def start(self) -> None:
        for part in self._parts:
            part.start()

    async def wait_up(self) -> None:
        """Until checks can be counted."""
        await self._first.wait_up()

    async def stop(self) -> None:
        for part in reversed(self._parts):
            await part.stop()


def store_make(loop: asyncio.AbstractEventLoop, address: Address, fallback: Fallback) -> Store:
    if address.topology is Topology.CLUSTER:
        return _clustered(loop, address, fallback)
    if address.topology is Topology.SENTINEL:
        return _guarded(loop, address, fallback)
    make = partial(Link, address.access, always(*address.nodes))
    return _single(loop, (make(script=check_script()), make(), make()), fallback)


def _single(
    loop: asyncio.AbstractEventLoop, links: tuple[Link, Link, Link], fallback: Fallback, *guards: Running
) -> Store:
    checks, source, changes = links
    return Store(Coalescer(loop, checks, fallback), source, changes, source.call, (*guards, *links), checks)


def _guarded(loop: asyncio.AbstractEventLoop, address: Address, fallback: Fallback) -> Store:
    sentinels = Sentinels(address)
    make = partial(Link, address.access, sentinels.candidates, masters_only=True)
    links = (make(script=check_script()), make(), make())

    def follow(master: Node) -> None:
        for link in links:
            if link.node != master:
                link.drop(f"the master is now {master}")

    sentinels.on_moved = follow
    return _single(loop, links, fallback, sentinels)


def _clustered(loop: asyncio.AbstractEventLoop, address: Address, fallback: Fallback) -> Store:
    cluster = Cluster(loop, address, check_script(), fallback)
    slot = key_slot(keys.SNAPSHOT_CHANGES.encode())
    changes = SlotReader(cluster, address.access, slot)
    return Store(cluster, SlotSource(cluster, slot), changes, cluster.command, (cluster, changes), cluster)
