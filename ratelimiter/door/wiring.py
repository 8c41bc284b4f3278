"""One door process put together: who knows whom, what starts and stops, and what happens every second."""

import asyncio
import contextlib
import gc
import os
import time
from secrets import token_hex

from ratelimiter.door.authz import Gateways
from ratelimiter.door.batch import Batches
from ratelimiter.door.checks import Checks
from ratelimiter.door.explain import Explanations
from ratelimiter.door.give_back import GiveBacks
from ratelimiter.door.health import Health
from ratelimiter.door.metrics import Metrics, Tally
from ratelimiter.door.outbox import Outbox
from ratelimiter.door.protocol import HttpConnection
from ratelimiter.door.render import Renderer
from ratelimiter.door.service import SWEEPS_A_SECOND, DoorService
from ratelimiter.door.settings import DoorSettings
from ratelimiter.engine.clock import unix_ms
from ratelimiter.events.spool import HEARTBEAT_EVERY_S, Spool
from ratelimiter.snapshot.watch import Watch
from ratelimiter.store.coalescer import CALL_TIMEOUT_MS
from ratelimiter.store.fallback import Fallback
from ratelimiter.store.live import LiveCounts
from ratelimiter.store.topology import Store, store_make

DRAIN_PATIENCE_S = 2.0
READY_WITHIN_S = 3.0


class Door:
    def __init__(self, loop: asyncio.AbstractEventLoop, settings: DoorSettings) -> None:
        self._loop = loop
        self._settings = settings
        boot = token_hex(8)
        self._store = store_make(loop, settings.address(), Fallback(settings.door_workers))
        self._watch = Watch(
            changes=self._store.changes,
            source=self._store.source,
            peppers=settings.peppers(),
            door=boot,
            pid=os.getpid(),
        )
        self._spool = Spool(settings.spool_folder(), boot=boot, max_bytes=settings.spool_max_bytes)
        self._live = LiveCounts()
        self._outbox = Outbox(loop, self._spool)
        self._renderer = Renderer(boot, time.time())
        tally = Tally()
        checks = Checks(
            boot=boot, callers=self._watch.callers, coalescer=self._store.checks, outbox=self._outbox,
            renderer=self._renderer, tally=tally, live=self._live,
        )  # fmt: skip
        self.service = DoorService(
            settings=settings, checks=checks, batches=Batches(loop, checks),
            give_backs=GiveBacks(loop, checks, self._store.checks), explanations=Explanations(checks),
            gateways=Gateways(checks, trusted_hops=settings.door_trusted_hops),
            health=Health(self._store.checks, self._watch),
        )  # fmt: skip
        self._checks = checks
        self._metrics = self._metrics_table(tally)
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection(self) -> HttpConnection:
        return HttpConnection(self.service)

    async def start(self) -> None:
        """Returns when Redis has answered, or without it after a while: a door that starts before Redis waits for it
        while it serves.
        """
        self._store.start()
        self._watch.start()
        self._turn()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(self._store.wait_up(), self._watch.synced.wait()), READY_WITHIN_S)
        # What lives now lives for good. Garbage in circles is rare here, and is looked for once a second.
        gc.collect()
        gc.freeze()
        gc.disable()

    async def stop(self) -> None:
        """Finishes what is under way first. Afterwards nothing runs and everything is on the disk."""
        await self.service.drain(patience_s=DRAIN_PATIENCE_S, longest_s=self._settings.door_drain_s)
        if self._timer is not None:
            self._timer.cancel()
        self._checks.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._until_idle(), CALL_TIMEOUT_MS / 1_000)
        self._outbox.flush()
        self._spool.close(unix_ms())
        self._every_second()
        await self._watch.stop()
        await self._store.stop()

    async def _until_idle(self) -> None:
        while not self._store.checks.is_idle:  # noqa: ASYNC110 - once in a lifetime, for milliseconds
            await asyncio.sleep(0.001)

    def _turn(self) -> None:
        self._timer = self._loop.call_later(1 / SWEEPS_A_SECOND, self._turn)
        self.service.sweep()
        self._checks.tick(self._store.checks.now_ms())
        self._turns += 1
        if self._turns % SWEEPS_A_SECOND == 0:
            self._every_second()

    def _every_second(self) -> None:
        now_s = time.time()
        self._renderer.tick(now_s)
        self._metrics.flush()
        if self._turns % (HEARTBEAT_EVERY_S * SWEEPS_A_SECOND) == 0:
            self._spool.heartbeat(unix_ms())
        if self._store.source.is_up:
            self._live.flush(_Commands(self._store), now_s=int(now_s))
        gc.collect(1)

    def _metrics_table(self, tally: Tally) -> Metrics:
        spool, store, watch = self._spool, self._store.checks, self._watch
        metrics = Metrics(tally)
        metrics.count("store_calls", "Script calls sent", lambda: store.calls)
        metrics.count("store_failures", "Script calls that failed, whose checks were degraded", lambda: store.failures)
        local = self._checks.local
        metrics.count("denials_held", "Denials that were not asked for again", lambda: local.denials.answered)
        metrics.count("leases_spent", "Checks admitted by units taken ahead", lambda: local.leases.answered)
        metrics.count("events_written", "Events on the spool", lambda: spool.written)
        metrics.count("events_lost", "Events that could not be written", lambda: spool.lost)
        metrics.count(
            "spool_trimmed_bytes", "Bytes of events deleted to stay below the bound", lambda: spool.trimmed_bytes
        )
        metrics.count("spool_trimmed_segments", "Segments deleted with them", lambda: spool.trimmed_segments)
        metrics.count("snapshot_resyncs", "Times that everything cached was read again", lambda: watch.resyncs)
        metrics.gauge("connections", "Open connections", lambda: self.service.connections)
        metrics.gauge("callers", "API keys held in memory", lambda: len(watch.callers))
        metrics.gauge("tenants", "Tenants held in memory", lambda: len(watch.tenants))
        metrics.gauge("ready", "Processes that can judge", lambda: float(store.is_up and watch.is_ready))
        return metrics


class _Commands:
    """store.live's pipeline on a store. These counts are for looking at: a lost second is not worth a retry."""

    def __init__(self, store: Store) -> None:
        self._command = store.command

    def hincrby(self, name: str, key: str, amount: int) -> None:
        self._command(_ignore, "HINCRBY", name, key, amount)

    def hset(self, name: str, key: str, value: str) -> None:
        self._command(_ignore, "HSET", name, key, value)

    def expire(self, name: str, time: int) -> None:
        self._command(_ignore, "EXPIRE", name, time)


def _ignore(_: object) -> None:
    """The reply of a count."""
