"""From frames of the spool to records of the bus: what lies together in a partition travels together."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from ratelimiter.events.schema import Sealed
from ratelimiter.events.segments import Frame

RECORD_EVENTS = 64
RECORD_BYTES = 512 * 1024


@dataclass(slots=True)
class RecordDraft:
    """`frames` are those that its events come from."""

    partition: int
    groups: list[Sealed] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    count: int = 0
    size: int = 0


def records_cut(frames: Iterable[tuple[Frame, list[Sealed]]]) -> list[RecordDraft]:
    """All of one door process, in order. A record holds at most RECORD_EVENTS events and about RECORD_BYTES."""
    done: list[RecordDraft] = []
    open_: dict[int, RecordDraft] = {}
    for frame, groups in frames:
        for group in groups:
            for piece in _pieces(group):
                draft = open_.get(piece.partition)
                size = sum(map(len, piece.events)) + len(piece.collapsed)
                if draft is None or draft.count + len(piece.events) > RECORD_EVENTS or draft.size + size > RECORD_BYTES:
                    draft = open_[piece.partition] = RecordDraft(piece.partition)
                    done.append(draft)
                _put(draft, piece)
                draft.count += len(piece.events)
                draft.size += size
                if not draft.frames or draft.frames[-1] is not frame:
                    draft.frames.append(frame)
    return done


def _pieces(group: Sealed) -> Iterable[Sealed]:
    """Cut so that each goes into a record; what the group says besides its events is said by the last."""
    at, events = 0, group.events
    while len(events) - at > RECORD_EVENTS or (len(events) - at > 1 and sum(map(len, events[at:])) > RECORD_BYTES):
        size = taken = 0
        while taken < RECORD_EVENTS and (not taken or size + len(events[at + taken]) <= RECORD_BYTES):
            size += len(events[at + taken])
            taken += 1
        yield Sealed(group.partition, group.first + at, events[at : at + taken])
        at += taken
    yield msgspec.structs.replace(group, first=group.first + at, events=events[at:]) if at else group


def _put(draft: RecordDraft, piece: Sealed) -> None:
    """Plain groups that continue one another become one."""
    if draft.groups and _is_plain(piece):
        before = draft.groups[-1]
        if _is_plain(before) and before.first + len(before.events) == piece.first:
            draft.groups[-1] = msgspec.structs.replace(before, events=[*before.events, *piece.events])
            return
    draft.groups.append(piece)


def _is_plain(group: Sealed) -> bool:
    return bool(group.events) and not group.heard_ms and not group.last and bytes(group.collapsed) == b"\xc0"
