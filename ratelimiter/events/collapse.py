"""When the spool fills up: segments of which nothing has left give way to the sums of their events.

A collapsed segment has the old one's name and numbers. Events on record stay as they are, because only they themselves
tell whether they were counted before.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ratelimiter.events.frames import frame_pack, frames_read
from ratelimiter.events.schema import Event, Group, groups_decode, groups_encode
from ratelimiter.events.segments import segment_has_begun
from ratelimiter.events.spool import segment_is_being_written, spool_segments
from ratelimiter.events.totals import Totals

FULL_SHARE = 0.8
EVENTS_A_GROUP = 64


@dataclass(slots=True)
class _Sum:
    """One partition of a segment."""

    first: int = 0
    count: int = 0
    heard_ms: int = 0
    last: bool = False
    kept: list[Event] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)


def spool_bytes(folder: Path) -> int:
    return sum(_size(path) for path in spool_segments(folder))


def collapse_when_full(folder: Path, max_bytes: int, *, known: Iterable[Path] = ()) -> int:
    """Collapses the oldest segments until the folder is below FULL_SHARE of `max_bytes`. `known` are those that are
    being read, or were collapsed before. Returns how many events were collapsed. Raises OSError.
    """
    left = spool_bytes(folder) - int(FULL_SHARE * max_bytes)
    if left <= 0:
        return 0
    untouchable = set(known)
    collapsed = 0
    for path in sorted(spool_segments(folder), key=_written_at):
        if left <= 0:
            break
        if path in untouchable or segment_has_begun(path) or segment_is_being_written(path):
            continue
        before = _size(path)
        collapsed += segment_collapse(path)
        left -= before - _size(path)
    return collapsed


def segment_collapse(path: Path) -> int:
    """Returns how many events are in sums now. Raises OSError."""
    sums: dict[int, _Sum] = {}
    for payload in frames_read(path):
        for group in groups_decode(payload):
            _add(sums, group)
    groups = [group for partition, held in sums.items() for group in _groups(partition, held)]
    written = path.with_suffix(".collapsing")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for group in groups:
            file.write(frame_pack(groups_encode([group])))
        file.flush()
        os.fsync(file.fileno())
    stat = path.stat()
    os.utime(written, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # it stays as old as it is
    written.replace(path)
    return sum(group.collapsed.count for group in groups if group.collapsed is not None)


def _add(sums: dict[int, _Sum], group: Group) -> None:
    held = sums.setdefault(group.partition, _Sum())
    held.first = held.first or group.first
    held.heard_ms = max(held.heard_ms, group.heard_ms)
    held.last = held.last or group.last
    held.kept += [event for event in group.events if event.recorded]
    held.totals.add(event for event in group.events if not event.recorded)
    held.count += len(group.events)
    if group.collapsed is not None:
        held.totals.merge(group.collapsed)
        held.count += group.collapsed.count


def _groups(partition: int, held: _Sum) -> list[Group]:
    """Numbers are given anew within those that the segment has, events first."""
    groups = [
        Group(partition, held.first + at, held.kept[at : at + EVENTS_A_GROUP])
        for at in range(0, len(held.kept), EVENTS_A_GROUP)
    ]
    summed = held.count - len(held.kept)
    collapsed = held.totals.collapsed(summed) if summed else None
    groups.append(Group(partition, held.first + len(held.kept), [], held.heard_ms, held.last, collapsed))
    return groups


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _written_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
