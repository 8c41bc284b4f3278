"""The spool from the shipper's side: a segment, how far it was read, and how far its events were delivered.

Beside a segment lies its cursor, a file with the offset behind what was delivered. It is written before anything of the
segment is sent, so that a segment without a cursor is one of which nothing has left.
"""

import contextlib
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from ratelimiter.events.frames import READ_BYTES, frames_at
from ratelimiter.events.schema import groups_decode
from ratelimiter.events.spool import is_being_written, spool_segments

_CURSOR = ".sent"


@dataclass(slots=True, eq=False)
class Frame:
    """`unsent` counts the records that carry its events and are not delivered yet."""

    end: int
    unsent: int = 0


@dataclass(slots=True, eq=False)
class Segment:
    """`delivered` and `read` are offsets, the first of everything before it. `is_over` when nothing more will come."""

    path: Path
    descriptor: int
    delivered: int
    read: int
    has_begun: bool
    is_over: bool = False
    frames: deque[Frame] = field(default_factory=deque)

    @property
    def boot(self) -> str:
        return segment_boot(self.path)

    @property
    def is_done(self) -> bool:
        return self.is_over and not self.frames

    def frames_next(self, max_bytes: int) -> list[tuple[Frame, bytes]]:
        """Whole frames that follow, up to about `max_bytes`, one at least."""
        was_closed = not is_being_written(self.descriptor)  # before reading: what comes later is read later
        found = [(Frame(end), payload) for end, payload in frames_at(self.descriptor, self.read, max_bytes)]
        if found:
            self.read = found[-1][0].end
            self.frames.extend(frame for frame, _ in found)
        elif was_closed:
            self.is_over = True
        return found

    def begin(self) -> None:
        if not self.has_begun:
            self.cursor_write()
            self.has_begun = True

    def advance(self) -> bool:
        """True when more is delivered than before."""
        frames, before = self.frames, self.delivered
        while frames and not frames[0].unsent:
            self.delivered = frames.popleft().end
        return self.delivered > before

    def rewind(self) -> None:
        """Everything that is not known to be delivered will be sent again."""
        self.frames.clear()
        self.read = self.delivered
        self.is_over = False

    def cursor_write(self) -> None:
        written = _cursor(self.path).with_suffix(".new")
        written.write_text(str(self.delivered))
        written.replace(_cursor(self.path))

    def close(self) -> None:
        os.close(self.descriptor)

    def remove(self) -> None:
        """The segment first: a cursor alone says nothing, a segment alone would be sent again."""
        self.close()
        self.path.unlink(missing_ok=True)
        _cursor(self.path).unlink(missing_ok=True)


def segment_open(path: Path) -> Segment | None:
    """None when somebody has deleted it meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    delivered = _delivered(path)
    return Segment(path, descriptor, delivered or 0, delivered or 0, has_begun=delivered is not None)


def segment_boot(path: Path) -> str:
    return path.name.rpartition("-")[0]


def segment_has_begun(path: Path) -> bool:
    return _cursor(path).exists()


def cursors_sweep(folder: Path) -> None:
    """Removes the cursors of segments that are gone."""
    held = {path.name for path in spool_segments(folder)}
    for cursor in folder.glob(f"*{_CURSOR}"):
        if cursor.name.removesuffix(_CURSOR) not in held:
            cursor.unlink(missing_ok=True)


def spooled_events(folder: Path) -> int:
    """How many events wait here to be delivered."""
    waiting = 0
    for path in spool_segments(folder):
        segment = segment_open(path)
        if segment is None:
            continue
        with contextlib.closing(segment):
            while found := segment.frames_next(READ_BYTES):
                waiting += sum(group.count for _, payload in found for group in groups_decode(payload))
    return waiting


def _cursor(path: Path) -> Path:
    return path.with_name(path.name + _CURSOR)


def _delivered(path: Path) -> int | None:
    try:
        return int(_cursor(path).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return 0  # torn by a power loss: everything is sent again, and counted once
