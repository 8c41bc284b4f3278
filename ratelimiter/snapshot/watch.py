"""Keeps a door's picture of tenants and keys current: one reader of the change stream per process.

The stream's entries carry an epoch and a sequence. Anything but the next number means that entries were missed (a
trimmed stream skips silently, a Redis that lost its data starts over): then everything cached is distrusted, goes on
serving as the last known good, and is read again. Every five seconds the revisions of cached tenants are compared with
what Redis holds, for the case that the stream itself says nothing.

What was applied is told to the control plane by a heartbeat: a tenant's revision is live here once `seq` has reached
the entry that announced it.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import hiredis
import msgspec

from ratelimiter.engine import keys
from ratelimiter.engine.clock import monotonic_ms, unix_ms
from ratelimiter.engine.errors import StoreFailed, Unavailable
from ratelimiter.snapshot.callers import Callers
from ratelimiter.snapshot.keyring import Pepper
from ratelimiter.snapshot.source import Source
from ratelimiter.snapshot.tenants import Tenants, TenantState

BLOCK_MS = 1_000
COMPARE_EVERY_S = 5.0
HEARTBEAT_EVERY_S = 1.0
PAUSE_S = 0.1
RESYNC_GRACE_MS = 3_000
FORGOTTEN_DOOR_MS = 3_600_000

_REFRESH_AT_ONCE = 100
_LOAD_AT_ONCE = 8
_COMPARE_AT_ONCE = 500

Item = TypeVar("Item")

_log = logging.getLogger("ratelimiter.snapshot")
_heartbeat_encode = msgspec.msgpack.Encoder().encode


class Heartbeat(msgspec.Struct, frozen=True):
    """What a door says of itself in keys.DOORS. `at` is Unix ms."""

    epoch: str
    seq: int
    at: int
    pid: int = 0
    boot: str = ""


def heartbeat_decode(blob: bytes) -> Heartbeat | None:
    """None for what a door of another version wrote."""
    try:
        return msgspec.msgpack.decode(blob, type=Heartbeat)
    except msgspec.MsgspecError:
        return None


class Watch:
    """`changes` is a connection of its own, because reading it blocks; `source` serves everything else."""

    def __init__(self, *, changes: Source, source: Source, peppers: Sequence[Pepper], door: str, pid: int) -> None:
        self._changes = changes
        self._source = source
        self._door = door
        self._pid = pid
        self.tenants = Tenants(source)
        self.callers = Callers(source, self.tenants, peppers)
        self.tenants.on_evicted = self.callers.forget_tenants
        self.epoch: str | None = None
        self.seq = 0
        self.resyncs = 0
        self.synced = asyncio.Event()  # the stream was read once
        self._last_id = b"0-0"
        self._behind: tuple[str | None, int] | None = None  # epoch and sequence that the stream owes us
        self._must_resync = True
        self._heard_ms: int | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        for work, pause_s in ((self._follow, 0.0), (self._compare, COMPARE_EVERY_S), (self._beat, HEARTBEAT_EVERY_S)):
            self._tasks.append(loop.create_task(self._forever(work, pause_s)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._source.is_up:
            await asyncio.gather(self._source.ask("HDEL", keys.DOORS, self._door), return_exceptions=True)

    @property
    def is_ready(self) -> bool:
        """True while Redis holds published data and the stream was heard within the last seconds."""
        return (
            self.epoch is not None
            and self._heard_ms is not None
            and monotonic_ms() - self._heard_ms < BLOCK_MS + RESYNC_GRACE_MS
        )

    async def _forever(self, work: Any, pause_s: float) -> None:
        while True:
            try:
                await self._source.wait_up()
                await self._changes.wait_up()
                await work()
            except (StoreFailed, hiredis.ReplyError) as error:
                _log.warning("watching for changes: %s", error)
                await asyncio.sleep(PAUSE_S)
            except Exception:  # noqa: BLE001 - a door that stops watching would serve old rules and revoked keys for ever
                _log.exception("watching for changes")
                await asyncio.sleep(PAUSE_S)
            else:
                await asyncio.sleep(pause_s)

    async def _follow(self) -> None:
        if self._must_resync:
            await self._resync()
        reply = await self._changes.ask(
            "XREAD", "COUNT", 1_000, "BLOCK", BLOCK_MS, "STREAMS", keys.SNAPSHOT_CHANGES, self._last_id,
            timeout_s=2 * BLOCK_MS / 1_000,
        )  # fmt: skip
        self._heard_ms = monotonic_ms()
        if reply:
            await self._apply(reply[0][1])

    async def _apply(self, entries: Sequence[tuple[bytes, Sequence[bytes]]]) -> None:
        changed: dict[int, TenantState] = {}
        epoch, seq = self.epoch, self.seq
        for _, fields in entries:
            entry = dict(zip(fields[::2], fields[1::2], strict=True))
            number = int(entry[b"seq"])
            if entry[b"epoch"].decode() != epoch or number > seq + 1:
                _log.warning("changes were missed: entry %d of epoch %s follows %d", number, entry[b"epoch"], seq)
                self._must_resync = True
                return
            seq = max(seq, number)
            if entry[b"kind"] == b"key":
                self.callers.forget(entry[b"digest"].decode())
            state = self.tenants.get(int(entry[b"tenant"]))
            if entry[b"kind"] == b"tenant" and state is not None:
                changed[state.tenant] = state
        await self._load(changed.values())
        self.seq, self._last_id = seq, entries[-1][0]
        await self._beat()

    async def _resync(self) -> None:
        """Starts over at the stream's end and looks at everything cached again.

        The stream is read before the sequence: an entry that comes between the two is met again, which does no harm.
        """
        last = await self._source.ask("XREVRANGE", keys.SNAPSHOT_CHANGES, "+", "-", "COUNT", 1)
        raw_epoch, raw_seq = await self._source.ask("MGET", keys.SNAPSHOT_EPOCH, keys.SNAPSHOT_SEQUENCE)
        self.callers.distrust()
        self.resyncs += 1
        self._last_id = last[0][0] if last else b"0-0"
        epoch, seq = raw_epoch.decode() if raw_epoch else None, int(raw_seq or 0)
        self._heard_ms = monotonic_ms()
        await self._load(self.tenants)
        await self._refresh_stale()
        self.epoch, self.seq = epoch, seq
        self._must_resync = False  # not before: whatever failed on the way is done again
        self.synced.set()
        await self._beat()
        await self._forget_dead_doors()

    async def _load(self, states: Iterable[TenantState]) -> None:
        for some in _chunks(list(states), _LOAD_AT_ONCE):
            await asyncio.gather(*[self._loaded(state) for state in some])

    def _loaded(self, state: TenantState) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()

        def done(_: Unavailable | None) -> None:
            if future.done():
                return
            if self._source.is_up:
                future.set_result(None)
            else:
                future.set_exception(StoreFailed("the connection was lost while a snapshot was read"))

        self.tenants.load(state, done)
        return future

    async def _refresh_stale(self) -> None:
        for some in _chunks(self.callers.stale(), _REFRESH_AT_ONCE):
            await self.callers.refresh(some)

    async def _compare(self) -> None:
        """Whether the stream kept its promise."""
        raw_epoch, raw_seq = await self._source.ask("MGET", keys.SNAPSHOT_EPOCH, keys.SNAPSHOT_SEQUENCE)
        epoch, seq = raw_epoch.decode() if raw_epoch else None, int(raw_seq or 0)
        owed, self._behind = self._behind, None
        if epoch != self.epoch or seq > self.seq:
            if owed is not None and (owed[0] != self.epoch or owed[1] > self.seq):
                self._must_resync = True
            self._behind = (epoch, seq)
        for some in _chunks(list(self.tenants), _COMPARE_AT_ONCE):
            marks = await self._source.ask("HMGET", keys.SNAPSHOT_REVISIONS, *[state.tenant for state in some])
            await self._load(
                [
                    state
                    for state, mark in zip(some, marks, strict=True)
                    if mark is not None and mark != state.mark and not state.loading
                ]
            )
        await self._refresh_stale()

    async def _beat(self) -> None:
        beat = Heartbeat(self.epoch or "", self.seq, unix_ms(), self._pid, self._door)
        await self._source.ask("HSET", keys.DOORS, self._door, _heartbeat_encode(beat))

    async def _forget_dead_doors(self) -> None:
        """Doors that were killed leave their heartbeat behind."""
        raw = await self._source.ask("HGETALL", keys.DOORS)
        now_ms = unix_ms()
        for door, blob in zip(raw[::2], raw[1::2], strict=True):
            beat = heartbeat_decode(blob)
            if beat is None or now_ms - beat.at > FORGOTTEN_DOOR_MS:
                await self._source.ask("HDEL", keys.DOORS, door)


def _chunks(items: list[Item], size: int) -> Iterable[list[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
