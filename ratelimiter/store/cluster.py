"""A Redis Cluster: every key goes to the master of its slot, every master has a coalescer and a breaker of its own.

So a master that is gone degrades the checks of its slots and no others. The map of the slots is read in the background:
at first, when a node redirects or is lost, and every few seconds; a redirection corrects its one slot at once.

A node that answers MOVED, ASK or TRYAGAIN has run nothing, so that what it refused may be sent on, as long as the
call's own 50 ms leave time for it. Nothing else is ever sent twice.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import hiredis

from ratelimiter.engine.clock import monotonic_ms, unix_ms
from ratelimiter.engine.errors import StoreFailed
from ratelimiter.engine.prepare import Entry
from ratelimiter.engine.scripts import Script
from ratelimiter.store.address import Address, Node
from ratelimiter.store.coalescer import CALL_TIMEOUT_MS, Coalescer, Decided, Part
from ratelimiter.store.connection import Callback, Word, ask_once
from ratelimiter.store.fallback import Fallback
from ratelimiter.store.link import Link, always
from ratelimiter.store.slots import SLOTS, entry_key, key_slot, redirection_parse, slots_parse

SEND_ON_PAUSE_S = 0.002
LEAST_LEFT_MS = 20  # a call that is sent on with less would often fail, and take its connection with it
REFRESH_EVERY_S = 5.0
REFRESH_SOON_S = 0.25  # while a master is missing
REFRESH_PAUSE_S = 0.05
REFRESH_TIMEOUT_S = 0.5

_log = logging.getLogger("ratelimiter.store")


class Lane:
    """One master. `side` carries what is no check, so that checks do not wait for it."""

    def __init__(self, node: Node, link: Link, side: Link, coalescer: Coalescer) -> None:
        self._made_ms = monotonic_ms()
        self.node = node
        self.link = link
        self.side = side
        self.coalescer = coalescer

    @property
    def is_opening(self) -> bool:
        """Whether checks may wait for its first connection."""
        return self.link.node is None and monotonic_ms() - self._made_ms < CALL_TIMEOUT_MS

    async def stop(self) -> None:
        await asyncio.gather(self.link.stop(), self.side.stop())


class Cluster:
    """One per process. `submit` may answer before it returns."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Address, script: Script, fallback: Fallback) -> None:
        self._loop = loop
        self._seeds = address.nodes
        self._access = address.access
        self._script = script
        self._fallback = fallback
        self._slots: list[Lane | None] = [None] * SLOTS
        self._lanes: dict[Node, Lane] = {}
        self._outdated = asyncio.Event()
        self._changed = asyncio.Event()  # the map, or a link that came up
        self._sent_on = 0  # parts that wait to be sent on
        self._retired: set[asyncio.Task[None]] = set()
        self._retired_calls = self._retired_failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._loop.create_task(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._retired, *[lane.stop() for lane in self._lanes.values()])

    async def wait_up(self) -> None:
        """Until every slot has a master that answers."""
        await self._wait_until(lambda: self.is_whole)

    async def wait_serves(self, slot: int) -> None:
        await self._wait_until(lambda: self.serves(slot))

    @property
    def is_up(self) -> bool:
        """Whether any check can be counted."""
        return any(lane.link.is_up for lane in self._lanes.values())

    @property
    def is_whole(self) -> bool:
        return None not in self._slots and all(lane.link.is_up and lane.side.is_up for lane in self._lanes.values())

    @property
    def is_idle(self) -> bool:
        return not self._sent_on and all(lane.coalescer.is_idle for lane in self._lanes.values())

    @property
    def calls(self) -> int:
        return self._retired_calls + sum(lane.coalescer.calls for lane in self._lanes.values())

    @property
    def failures(self) -> int:
        return self._retired_failures + sum(lane.coalescer.failures for lane in self._lanes.values())

    def submit(self, entry: Entry, decided: Decided) -> None:
        lane = self._slots[key_slot(entry_key(entry))] if entry.weight or entry.needs_store else None
        if lane is None:
            decided(self._fallback.decide(entry, unix_ms()))
        elif lane.link.is_up or not lane.is_opening:
            lane.coalescer.submit(entry, decided)
        else:
            now_ms = monotonic_ms()
            self._later(lane, [(entry, decided, now_ms)], now_ms + CALL_TIMEOUT_MS, asking=False)

    def fetch(self, key: bytes, callback: Callback) -> None:
        """One value as the store has it; a failure arrives as an exception."""
        self.call(key_slot(key), callback, "GET", key, timeout_s=CALL_TIMEOUT_MS / 1_000)

    def now_ms(self) -> int:
        """The time of a master that is known, or ours."""
        for lane in self._lanes.values():
            if lane.link.clock.known:
                return lane.coalescer.now_ms()
        return unix_ms()

    def command(self, callback: Callback, name: str, key: str, *words: Word) -> None:
        """A command on one key."""
        self.call(key_slot(key.encode()), callback, name, key, *words)

    def call(self, slot: int, callback: Callback, *words: Word, timeout_s: float = 1.0) -> None:
        """A command on keys of one slot, sent on where the cluster says until `timeout_s` is over."""
        self._ask_lane(self._slots[slot], callback, words, self._loop.time() + timeout_s, asking=False)

    def owner(self, slot: int) -> Node:
        """Of a slot that is served."""
        lane = self._slots[slot]
        assert lane is not None
        return lane.node

    def serves(self, slot: int) -> bool:
        lane = self._slots[slot]
        return lane is not None and lane.side.is_up

    def look_again(self) -> None:
        """The map is out of date; reads it soon, in the background."""
        self._outdated.set()

    def redirected(self, reply: Exception, asked: Node) -> tuple[Lane, bool] | None:
        """Whom to ask instead, and whether with ASKING. None when the reply says that nothing may be sent on."""
        if not isinstance(reply, hiredis.ReplyError):
            return None
        text = str(reply)
        if text.startswith("CLUSTERDOWN"):
            self.look_again()
        if text.startswith("TRYAGAIN"):
            return self._lane(asked), False
        redirection = redirection_parse(text, asked)
        if redirection is None:
            return None
        lane = self._lane(redirection.node)
        if not redirection.asking:
            self._slots[redirection.slot] = lane
            self.look_again()
        return lane, redirection.asking

    # Checks that a node refused to run.

    def _redirect(self, asked: Node, part: Part, reply: Exception, deadline_ms: int) -> bool:
        target = self.redirected(reply, asked)
        if target is None:
            is_unserved = str(reply).startswith("CLUSTERDOWN Hash slot not served")
            if is_unserved:  # which says nothing about the node's other slots
                self._lane(asked).coalescer.give_up(part)
            return is_unserved
        lane, asking = target
        if lane.node == asked:  # TRYAGAIN: the keys of this call are on both sides, those of one check perhaps are not
            for entry in part:
                self._later(lane, [entry], deadline_ms, asking=False)
        else:
            self._send_on(lane, part, deadline_ms, asking=asking)
        return True

    def _send_on(self, lane: Lane, part: Part, deadline_ms: int, *, asking: bool) -> None:
        if deadline_ms - monotonic_ms() < LEAST_LEFT_MS:
            lane.coalescer.give_up(part)
        elif lane.link.is_up:
            lane.coalescer.send_on(part, deadline_ms, asking=asking)
        else:
            self._later(lane, part, deadline_ms, asking=asking)

    def _later(self, lane: Lane, part: Part, deadline_ms: int, *, asking: bool) -> None:
        def now() -> None:
            self._sent_on -= 1
            self._send_on(lane, part, deadline_ms, asking=asking)

        self._sent_on += 1
        self._loop.call_later(SEND_ON_PAUSE_S, now)

    # Commands that are no checks.

    def _ask_lane(
        self, lane: Lane | None, callback: Callback, words: tuple[Word, ...], deadline: float, *, asking: bool
    ) -> None:
        left_s = deadline - self._loop.time()
        if lane is None or left_s * 1_000 < LEAST_LEFT_MS:
            callback(StoreFailed("nobody has the slot"))
            return
        asked = lane.node

        def settle(reply: Any) -> None:
            target = self.redirected(reply, asked) if isinstance(reply, Exception) else None
            if target is None:
                callback(reply)
            else:
                other, asking = target
                pause_s = SEND_ON_PAUSE_S if other.node == asked or not other.side.is_up else 0
                ask = partial(self._ask_lane, other, callback, words, deadline, asking=asking)
                self._loop.call_later(pause_s, ask)

        lane.side.call(settle, *words, timeout_s=left_s, asking=asking)

    # The map of the slots.

    async def _wait_until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def _follow(self) -> None:
        while True:
            self._outdated.clear()
            await self._refresh()
            pause_s = REFRESH_EVERY_S if self.is_whole else REFRESH_SOON_S
            try:
                await asyncio.wait_for(self._outdated.wait(), pause_s)
            except TimeoutError:
                continue
            await asyncio.sleep(REFRESH_PAUSE_S)

    async def _refresh(self) -> None:
        """Reads the map from the first node that can tell: masters first, then the nodes that the address names."""
        up = [node for node, lane in self._lanes.items() if lane.link.is_up]
        for node in dict.fromkeys(chain(up, self._seeds, self._lanes)):
            try:
                reply = await ask_once(node, self._access, "CLUSTER", "SLOTS", timeout_s=REFRESH_TIMEOUT_S)
                ranges = list(slots_parse(reply, node))
            except (OSError, TimeoutError, ValueError, StoreFailed, hiredis.ReplyError) as error:
                _log.warning("no slots from %s: %s", node, str(error) or "timed out")
                continue
            if ranges:
                self._install(ranges)
                return

    def _install(self, ranges: list[tuple[int, int, Node]]) -> None:
        slots: list[Lane | None] = [None] * SLOTS
        owners: set[Lane] = set()
        for first, last, node in ranges:
            lane = self._lane(node)
            owners.add(lane)
            slots[first : last + 1] = [lane] * (last + 1 - first)
        self._slots = slots
        self._changed.set()
        for lane in list(self._lanes.values()):
            if lane not in owners and lane.coalescer.is_idle:
                self._retire(lane)

    def _lane(self, node: Node) -> Lane:
        lane = self._lanes.get(node)
        if lane is None:
            link = Link(self._access, always(node), script=self._script)
            coalescer = Coalescer(
                self._loop, link, self._fallback, split=parts_by_slot, redirect=partial(self._redirect, node)
            )
            lane = self._lanes[node] = Lane(node, link, Link(self._access, always(node)), coalescer)
            link.on_up = _both(link.on_up, self._changed.set)
            link.on_down = _both(link.on_down, self.look_again)
            lane.side.on_up = self._changed.set
            link.start()
            lane.side.start()
        return lane

    def _retire(self, lane: Lane) -> None:
        del self._lanes[lane.node]
        self._retired_calls += lane.coalescer.calls
        self._retired_failures += lane.coalescer.failures
        task = self._loop.create_task(lane.stop())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        first()
        second()

    return both


def parts_by_slot(batch: Part) -> list[Part]:
    parts: dict[int, Part] = {}
    for entry in batch:
        parts.setdefault(key_slot(entry_key(entry[0])), []).append(entry)
    return list(parts.values())
