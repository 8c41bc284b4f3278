"""What one batch adds, put together from records of the bus before anything is written.

Numbers of a partition's events only grow for each door process: what is not above the last one counted came again and
is dropped, what is above the next one leaves a gap, which is remembered. Events on record (idempotent repeats) are held
back until it is known who may count them.
"""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import msgspec

from apps.analytics.ingest.raw import RawRows
from ratelimiter.events.bus import Message
from ratelimiter.events.schema import VERSION, Event, Group, record_decode
from ratelimiter.events.totals import CHECK_WIDTH, MINUTE_MS, RULE_WIDTH, Collapsed, Totals

Place = tuple[str, int]  # boot id, partition


@dataclass(slots=True)
class Source:
    """One door process in one partition. Whatever it decided before `heard_ms` (Unix ms) is counted."""

    last_seq: int = 0
    heard_ms: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    boot: str
    partition: int
    first_seq: int
    missing: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What cannot be counted, of the message at `position`; the `number`th there."""

    partition: int
    position: str
    number: int
    payload: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Unix ms; events outside have no partition to go to, and no business being there."""

    from_ms: int
    until_ms: int


@dataclass(slots=True)
class Tally:
    """`sources` are those that changed. `events` is how many were counted, those held back too."""

    totals: Totals = field(default_factory=Totals)
    sources: dict[Place, Source] = field(default_factory=dict)
    positions: dict[int, str] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    recorded: dict[tuple[int, str], Event] = field(default_factory=dict)
    events: int = 0
    repeated: int = 0


class Tallying:
    """`known(boot, partition)` is the source as it was committed last. What doors that were long away bring of tenants
    who are `erased` is passed over.
    """

    def __init__(
        self, *, known: Callable[[Place], Source], raw: RawRows, window: TimeWindow,
        erased: AbstractSet[int] = frozenset(),
    ) -> None:  # fmt: skip
        self._known = known
        self._erased = erased
        self._raw = raw
        self._window = window
        self.tally = Tally()

    def take(self, message: Message) -> None:
        try:
            record = record_decode(message.payload)
            if record.version != VERSION:
                raise msgspec.ValidationError(f"version {record.version} is not known")
            for group in record.groups:
                self._verify(group, message.partition)
        except msgspec.MsgspecError as error:
            self._bury(message, str(error))
        else:
            for group in record.groups:
                self._group(message, record.boot, group)
        self.tally.positions[message.partition] = message.next

    def claimed(self, won: Iterable[tuple[int, str]]) -> None:
        """Counts the events that were held back and are this batch's to count."""
        self._count([self.tally.recorded[name] for name in won])

    def skip(self, message: Message) -> None:
        """Takes the numbers of events that PostgreSQL refuses, without what they say."""
        self.take(message)
        self.tally.totals = Totals()
        self.tally.recorded = {}
        self.tally.dead = []
        self.tally.events = 0

    def _verify(self, group: Group, partition: int) -> None:
        """Raises msgspec.ValidationError."""
        if group.partition != partition:
            raise msgspec.ValidationError("it lies in another partition than it says")
        if not 0 <= group.heard_ms < self._window.until_ms:
            raise msgspec.ValidationError(f"a heartbeat at {group.heard_ms} ms is not to be believed")
        if group.collapsed is not None:
            first, end = self._window.from_ms // MINUTE_MS, self._window.until_ms // MINUTE_MS
            for rows, width in ((group.collapsed.checks, CHECK_WIDTH), (group.collapsed.rules, RULE_WIDTH)):
                for key, numbers in rows:
                    if len(numbers) != width or not first <= key[1] <= end:
                        raise msgspec.ValidationError("collapsed events are not to be believed")

    def _group(self, message: Message, boot: str, group: Group) -> None:
        source = self._source((boot, message.partition))
        if group.heard_ms:
            source.heard_ms = max(source.heard_ms, group.heard_ms)
        source.is_over = source.is_over or group.last
        count = group.count
        ahead = group.first - source.last_seq - 1
        if ahead > 0:  # a heartbeat tells so as well: nothing need come after what is missing
            self.tally.gaps.append(Gap(boot, message.partition, source.last_seq + 1, ahead))
            source.last_seq = group.first - 1
        elif -ahead >= count:
            self.tally.repeated += count
            return
        if not source.heard_ms and group.events:
            source.heard_ms = group.events[0].at_ms  # before its first check there was nothing
        if not count:
            return
        source.last_seq = group.first + count - 1
        events = group.events
        if ahead < 0:
            self.tally.repeated += -ahead
            events = events[-ahead:]
        self._events(message, events)
        if group.collapsed is not None:
            if ahead < 0:  # part of it was counted already, and nobody can tell which
                self._bury(message, f"{group.collapsed.count} collapsed events overlap what was counted")
            else:
                self.tally.totals.merge(self._living(group.collapsed))
                self.tally.events += group.collapsed.count

    def _events(self, message: Message, events: list[Event]) -> None:
        if self._erased:
            events = [event for event in events if event.tenant not in self._erased]
        from_ms, until_ms = self._window.from_ms, self._window.until_ms
        for event in events:
            if event.recorded or not from_ms <= event.at_ms < until_ms:
                events = [event for event in events if self._is_plain(message, event)]
                break
        self._count(events)

    def _living(self, collapsed: Collapsed) -> Collapsed:
        if not self._erased:
            return collapsed
        checks = [row for row in collapsed.checks if row[0][0] not in self._erased]
        return msgspec.structs.replace(
            collapsed, checks=checks, rules=[row for row in collapsed.rules if row[0][0] not in self._erased]
        )

    def _is_plain(self, message: Message, event: Event) -> bool:
        """False when the event is not to be counted now, or never; it is where it belongs then."""
        if not self._window.from_ms <= event.at_ms < self._window.until_ms:
            self._bury(message, f"{event.id} happened at {event.at_ms} ms, which is not to be believed")
            return False
        if event.recorded:
            self.tally.recorded.setdefault((event.tenant, event.id), event)
        return not event.recorded

    def _count(self, events: list[Event]) -> None:
        self.tally.totals.add(events)
        self._raw.add(events)
        self.tally.events += len(events)

    def _source(self, place: Place) -> Source:
        source = self.tally.sources.get(place)
        if source is None:
            known = self._known(place)
            source = self.tally.sources[place] = Source(known.last_seq, known.heard_ms, known.is_over)
        return source

    def _bury(self, message: Message, reason: str) -> None:
        dead = self.tally.dead
        number = sum((letter.partition, letter.position) == (message.partition, message.next) for letter in dead[-64:])
        dead.append(DeadLetter(message.partition, message.next, number, message.payload, reason))
