"""The shipper: takes events from the spool to the bus, one process a spool folder. `python -m ratelimiter.events.ship`

A segment is deleted when all of it is delivered and nobody writes it any more. Whatever goes wrong, sending begins
again behind what is known to be delivered; the numbers that events carry let ingest drop what comes twice.
"""

import fcntl
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import msgspec
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ratelimiter.environ import EnvironmentInvalid, environ_read
from ratelimiter.events.bus import BusError, Producer
from ratelimiter.events.buses import producer_make
from ratelimiter.events.collapse import collapse_when_full, spool_bytes
from ratelimiter.events.frames import READ_BYTES
from ratelimiter.events.records import RecordDraft, records_cut
from ratelimiter.events.schema import Sealed, groups_decode_sealed, record_encode
from ratelimiter.events.segments import Frame, Segment, cursors_sweep, segment_boot, segment_open
from ratelimiter.events.spool import spool_segments

PASS_EVERY_S = 0.02
IN_FLIGHT_RECORDS = 4_000
CURSOR_EVERY_S = 1.0
HOUSEKEEPING_EVERY_S = 0.25
FAREWELL_S = 5.0
PAUSE_S, PAUSE_MOST_S = 0.2, 5.0

_log = logging.getLogger("ratelimiter.ship")


class ShipSettings(msgspec.Struct, frozen=True):
    bus_url: str = ""
    events_url: str = ""
    spool_dir: str = "var/spool"
    spool_max_bytes: int = 2**30
    ship_metrics_host: str = "127.0.0.1"
    ship_metrics_port: int = 0


@dataclass(slots=True)
class Counts:
    """Since the start of the process; they only grow."""

    events: int = 0
    records: int = 0
    failures: int = 0
    collapsed: int = 0
    unreadable: int = 0


class Shipper:
    """For one thread. `producer_new` makes a connection to the bus; it raises BusError."""

    def __init__(self, folder: Path, producer_new: Callable[[], Producer], *, max_bytes: int) -> None:
        self._folder = folder
        self._producer_new = producer_new
        self._max_bytes = max_bytes
        self._producer: Producer | None = None
        self._boots: dict[str, list[Segment]] = {}
        self._opened: set[Path] = set()
        self._in_flight = 0
        self._error: Exception | None = None
        self._cursors_at = 0.0
        self._housekept_at = 0.0
        self._moved: set[Segment] = set()
        self.counts = Counts()
        self._delivered_at = time.monotonic()
        self.bytes_waiting = 0

    def run(self, stopping: threading.Event) -> None:
        """Until told to stop; then what the bus takes within a moment. Never raises BusError."""
        pause_s = PAUSE_S
        while not stopping.is_set():
            try:
                moved = self.turn()
                pause_s = PAUSE_S
            except (BusError, OSError) as error:
                self.counts.failures += 1
                _log.error("events wait: %s", error)
                self.rewind()
                self._pause(pause_s, stopping)
                pause_s = min(2 * pause_s, PAUSE_MOST_S)
                continue
            if not moved:
                stopping.wait(PASS_EVERY_S)
        self._farewell()

    def turn(self) -> bool:
        """Reads on, sends, and takes note of what was delivered. True when something was sent. Raises BusError and
        OSError; then `rewind` comes next.
        """
        self._housekeep()
        if self._producer is None:
            self._producer = self._producer_new()
        sent = 0
        self._segments_find()
        for boot in list(self._boots):
            if self._in_flight < IN_FLIGHT_RECORDS:
                sent += self._boot_send(boot)
        self._producer.poll(0 if sent else PASS_EVERY_S)
        if self._error is not None:
            raise BusError(str(self._error))
        self._progress()
        return sent > 0

    def rewind(self) -> None:
        """Everything that is under way counts as not sent."""
        if self._producer is not None:
            self._producer.close()
        self._producer = None
        self._error = None
        self._in_flight = 0
        for segments in self._boots.values():
            for segment in segments:
                segment.advance()
                segment.rewind()

    @property
    def stalled_s(self) -> float:
        """Since something was delivered, while something waits."""
        return time.monotonic() - self._delivered_at if self._in_flight or self._producer is None else 0.0

    def _pause(self, pause_s: float, stopping: threading.Event) -> None:
        """The spool fills up meanwhile."""
        until = time.monotonic() + pause_s
        while time.monotonic() < until and not stopping.wait(HOUSEKEEPING_EVERY_S):
            self._housekeep()

    def _farewell(self) -> None:
        try:
            until = time.monotonic() + FAREWELL_S
            while self.turn() and time.monotonic() < until:
                pass
            if self._producer is not None:
                self._producer.flush(FAREWELL_S)
                self._progress()
        except (BusError, OSError) as error:
            _log.error("events wait for the next start: %s", error)
        self._cursors_write()
        self.rewind()

    def _segments_find(self) -> None:
        for path in spool_segments(self._folder):
            if path in self._opened:
                continue
            segments = self._boots.setdefault(segment_boot(path), [])
            if segments and not segments[-1].is_over:
                continue  # a boot's segments are read one after the other
            segment = segment_open(path)
            if segment is not None:
                segments.append(segment)
                self._opened.add(path)

    def _boot_send(self, boot: str) -> int:
        """Returns how many records were sent."""
        segment = next((segment for segment in self._boots[boot] if not segment.is_over), None)
        if segment is None:
            return 0
        frames = segment.frames_next(READ_BYTES)
        if not frames:
            return 0
        segment.begin()
        drafts = records_cut(self._decoded(frames))
        for draft in drafts:
            self._record_send(boot, draft)
        self._moved.add(segment)
        return max(1, len(drafts))

    def _decoded(self, frames: list[tuple[Frame, bytes]]) -> Iterator[tuple[Frame, list[Sealed]]]:
        for frame, payload in frames:
            try:
                yield frame, groups_decode_sealed(payload)
            except msgspec.MsgspecError as error:
                self.counts.unreadable += 1
                _log.error("a frame of the spool makes no sense, and its events are missing: %s", error)

    def _record_send(self, boot: str, draft: RecordDraft) -> None:
        assert self._producer is not None
        for frame in draft.frames:
            frame.unsent += 1
        self._in_flight += 1
        payload = record_encode(boot, draft.groups)
        self._producer.send(draft.partition, payload, self._done(self._producer, draft.frames, draft.count))

    def _done(self, producer: Producer, frames: list[Frame], count: int) -> Callable[[Exception | None], None]:
        def done(error: Exception | None) -> None:
            if producer is not self._producer:
                return  # of a life before
            self._in_flight -= 1
            if error is not None:
                self._error = self._error or error
                return
            for frame in frames:
                frame.unsent -= 1
            self._delivered_at = time.monotonic()
            self.counts.records += 1
            self.counts.events += count

        return done

    def _progress(self) -> None:
        for boot, segments in list(self._boots.items()):
            for segment in segments:
                if segment.advance():
                    self._moved.add(segment)
            while segments and segments[0].is_done:
                segment = segments.pop(0)
                segment.remove()
                self._moved.discard(segment)
                self._opened.discard(segment.path)
            if not segments:
                del self._boots[boot]
        if time.monotonic() - self._cursors_at >= CURSOR_EVERY_S:
            self._cursors_write()

    def _cursors_write(self) -> None:
        self._cursors_at = time.monotonic()
        for segment in self._moved:
            segment.cursor_write()
        self._moved.clear()

    def _housekeep(self) -> None:
        if time.monotonic() - self._housekept_at < HOUSEKEEPING_EVERY_S:
            return
        self._housekept_at = time.monotonic()
        try:
            collapsed = collapse_when_full(self._folder, self._max_bytes, known=self._opened)
        except OSError as error:  # no room even for sums: the doors delete what is oldest, and count it
            _log.error("the spool is nearly full and cannot be collapsed: %s", error)
            collapsed = 0
        if collapsed:
            self.counts.collapsed += collapsed
            _log.error("the spool is nearly full: %d events were collapsed to sums", collapsed)
        self.bytes_waiting = spool_bytes(self._folder)
        cursors_sweep(self._folder)


def folder_lock(folder: Path) -> TextIO:
    """Held until closed. Raises EnvironmentInvalid when another shipper has the folder."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (folder / "shipper.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise EnvironmentInvalid(f"SPOOL_DIR: another shipper takes events from {folder}") from None
    return lock


def metrics_serve(shipper: Shipper, host: str, port: int) -> None:
    registry = CollectorRegistry()
    registry.register(_Readings(shipper))
    start_http_server(port, host, registry)


class _Readings(Collector):
    def __init__(self, shipper: Shipper) -> None:
        self._shipper = shipper

    def collect(self) -> Iterator[Metric]:
        counts = self._shipper.counts
        for name, meaning, value in (
            ("events", "Events delivered to the bus", counts.events),
            ("records", "Records that carried them", counts.records),
            ("failures", "Times that sending began again", counts.failures),
            ("collapsed", "Events collapsed to sums because the spool was nearly full", counts.collapsed),
            ("unreadable", "Frames of the spool that make no sense", counts.unreadable),
        ):
            yield CounterMetricFamily(f"ratelimiter_ship_{name}", meaning, value=value)
        for name, meaning, reading in (
            ("stalled_seconds", "Since something was delivered, while something waits", self._shipper.stalled_s),
            ("spool_bytes", "Size of all segments", float(self._shipper.bytes_waiting)),
        ):
            yield GaugeMetricFamily(f"ratelimiter_ship_{name}", meaning, value=reading)


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    settings = environ_read(ShipSettings, os.environ)
    url = settings.events_url or settings.bus_url
    if not url:
        raise EnvironmentInvalid("EVENTS_URL, or BUS_URL: one must name the bus that events go to.")
    folder = Path(settings.spool_dir)
    lock = folder_lock(folder)
    shipper = Shipper(folder, lambda: producer_make(url), max_bytes=settings.spool_max_bytes)
    if settings.ship_metrics_port:
        metrics_serve(shipper, settings.ship_metrics_host, settings.ship_metrics_port)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    shipper.run(stopping)
    lock.close()


if __name__ == "__main__":
    main()
