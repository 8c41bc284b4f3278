"""The write-ahead spool: events are on it before the answers they belong to leave.

One process writes one series of segments, named by its boot id; a batch is one frame, appended by one os.write, without
waiting for the disk (a thread syncs every 100 ms). So events survive the death of the process at any instruction, and a
power loss may take the last 100 ms. An event's partition and its number within it are given here and never again.

A disk that is full or broken never stops an answer: the batch is lost, counted, and its numbers are given to the next.
Segments of all processes in the folder together stay below a bound: the oldest closed ones go first, counted.
"""

import contextlib
import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ratelimiter.events.frames import frame_pack, frames_read
from ratelimiter.events.schema import Event, Group, groups_decode, groups_encode

PARTITIONS = 16
SEGMENT_BYTES = 16 * 1024 * 1024
SYNC_EVERY_S = 0.1
HEARTBEAT_EVERY_S = 5

_SUFFIX = ".events"

_log = logging.getLogger("ratelimiter.events")


class Spool:
    """For one thread; a second one, its own, syncs. The counters only grow."""

    def __init__(self, folder: Path, *, boot: str, max_bytes: int) -> None:
        self._folder = folder
        self._boot = boot
        self._max_bytes = max_bytes
        self._segment_bytes = max(1, min(SEGMENT_BYTES, max_bytes // 16))
        self._next = [1] * PARTITIONS
        self._descriptor = -1
        self._size = 0
        self._index = 0
        self._syncer = _Syncer()
        self.written = 0
        self.lost = 0
        self.trimmed_segments = 0
        self.trimmed_bytes = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._syncer.start()

    def append(self, events: Sequence[Event]) -> None:
        """Never raises; what could not be written is counted as lost."""
        groups = self._grouped(events)
        error = self._append(groups)
        if error is not None:
            if not self.lost:
                _log.error("events cannot be written: %s", error)
            self.lost += len(events)
            return
        for group in groups:
            self._next[group.partition] += len(group.events)
        self.written += len(events)

    def heartbeat(self, now_ms: int, *, last: bool = False) -> None:
        """Says in every partition that what was decided before `now_ms`, Unix ms, has been written. Never raises: one
        that cannot be written is missed by whoever waits for it.
        """
        self._append([Group(partition, self._next[partition], [], now_ms, last) for partition in range(PARTITIONS)])

    def close(self, now_ms: int | None = None) -> None:
        """With `now_ms` it says first that nothing more will come."""
        if now_ms is not None:
            self.heartbeat(now_ms, last=True)
        if self._descriptor >= 0:
            self._syncer.retire(self._descriptor)
            self._descriptor = -1
        self._syncer.stop()

    def _append(self, groups: list[Group]) -> OSError | None:
        try:
            if self._descriptor < 0 or self._size >= self._segment_bytes:
                self._rotate()
            self._write(frame_pack(groups_encode(groups)))
        except OSError as error:
            return error
        return None

    def _grouped(self, events: Sequence[Event]) -> list[Group]:
        by_partition: dict[int, list[Event]] = {}
        for event in events:
            partition = event.tenant % PARTITIONS
            held = by_partition.get(partition)
            if held is None:
                by_partition[partition] = [event]
            else:
                held.append(event)
        return [Group(partition, self._next[partition], held) for partition, held in by_partition.items()]

    def _write(self, frame: bytes) -> None:
        written = os.write(self._descriptor, frame)
        if written < len(frame):
            # The disk is full: what follows a torn frame would never be read.
            try:
                os.ftruncate(self._descriptor, self._size)
            except OSError:
                self._size = self._segment_bytes  # the next batch goes to a new segment
            raise OSError(f"{written} of {len(frame)} bytes were written")
        self._size += written
        self._syncer.dirty = self._descriptor

    def _rotate(self) -> None:
        self._index += 1  # before anything can fail: the next try must not meet the file of this one
        name = self._folder / f"{self._boot}-{self._index:08d}{_SUFFIX}"
        hidden = name.with_suffix(".new")  # until it is locked: whoever looks must never see a segment without a writer
        descriptor = os.open(
            hidden,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # says that the segment is being written
            hidden.rename(name)
        except OSError:
            os.close(descriptor)
            raise
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._syncer.retire(self._descriptor)
        self._descriptor = descriptor
        self._size = 0
        self._trim()

    def _trim(self) -> None:
        """Deletes the oldest segments that nobody writes until a new one fits."""
        held = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another process trims too
                held.append((path, path.stat()))
        excess = sum(stat.st_size for _, stat in held) + self._segment_bytes - self._max_bytes
        for path, stat in sorted(held, key=lambda item: item[1].st_mtime_ns):
            if excess <= 0:
                return
            with contextlib.suppress(OSError):  # gone already, or another user's: then it stays, and so do we
                if segment_is_being_written(path):
                    continue
                path.unlink()
                excess -= stat.st_size
                self.trimmed_segments += 1
                self.trimmed_bytes += stat.st_size


class _Syncer(threading.Thread):
    """`dirty` is the descriptor to sync next; retired ones are synced and closed."""

    def __init__(self) -> None:
        super().__init__(name="spool-sync", daemon=True)
        self.dirty = -1
        self._retired: list[int] = []
        self._stopping = threading.Event()

    def retire(self, descriptor: int) -> None:
        self.dirty = -1
        self._retired.append(descriptor)

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.wait(SYNC_EVERY_S):
            self._sync()
        self._sync()

    def _sync(self) -> None:
        # Only this thread closes descriptors, so what it syncs is never another file by the same number.
        descriptor = self.dirty
        if descriptor >= 0:
            self.dirty = -1  # only what was seen: a mark that is set meanwhile stays
            _sync_to_disk(descriptor)
        while self._retired:
            descriptor = self._retired.pop()
            _sync_to_disk(descriptor)
            os.close(descriptor)


def spool_segments(folder: Path) -> list[Path]:
    """In order of writing within each boot."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def spool_read(folder: Path) -> Iterator[tuple[str, Group]]:
    """(boot id, group) of every intact frame of every segment."""
    for path in spool_segments(folder):
        boot = path.name.rpartition("-")[0]
        for payload in frames_read(path):
            for group in groups_decode(payload):
                yield boot, group


def _sync_to_disk(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    except OSError as error:
        _log.error("the spool cannot be synced: %s", error)


def segment_is_being_written(path: Path) -> bool:
    """One that is gone is somebody's, too."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return is_being_written(descriptor)
    finally:
        os.close(descriptor)


def is_being_written(descriptor: int) -> bool:
    """`descriptor` is the asker's own."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
