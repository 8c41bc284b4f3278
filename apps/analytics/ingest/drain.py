"""From the bus to committed rollups: what the Celery task and the management command both run.

A batch is one PostgreSQL transaction: the partitions it takes from are locked rows, and what they add, the numbers of
their events and their new positions commit together. So a kill at any instant neither loses nor doubles; whoever comes
next starts at the position that was committed. Nothing is committed to the bus itself.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import structlog

from apps.analytics.ingest import write
from apps.analytics.ingest.database import Connection
from apps.analytics.ingest.identifiers import Identifiers
from apps.analytics.ingest.raw import RawRows
from apps.analytics.ingest.tally import DeadLetter, Place, Source, Tally, Tallying, TimeWindow
from apps.analytics.tables import TABLE
from ratelimiter.events.bus import BusError, Message, OffsetLost, Reader
from ratelimiter.events.spool import PARTITIONS

FUTURE = timedelta(hours=1)  # by how much a clock may be ahead
RECORD_EVENTS = 64

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch ends at so many events or after so long; `partitions` is how many one worker takes at most."""

    events: int = 50_000
    wait_s: float = 0.5
    partitions: int = PARTITIONS
    raw_a_minute: int = 60_000


@dataclass(slots=True)
class Drained:
    batches: int = 0
    events: int = 0
    repeated: int = 0
    dead: int = 0
    missing: int = 0

    def add(self, other: "Drained") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class _Held:
    """What is remembered of a partition; true as long as nobody else has moved it from `position`."""

    position: str = ""
    sources: dict[str, Source] = field(default_factory=dict)


class Ingest:
    """One worker's ingest, for one thread, to be kept between calls. `connection` is its own."""

    def __init__(self, connection: Connection, reader: Reader, limits: Limits | None = None) -> None:
        self._connection = connection
        self._reader = reader
        self._limits = limits or Limits()
        row = connection.execute("SELECT salt FROM analytics.secret").fetchone()
        assert row is not None
        self._identifiers = Identifiers(bytes(row[0]))
        self._raw = RawRows(self._identifiers, budget_a_minute=self._limits.raw_a_minute)
        self._held: dict[int, _Held] = {}
        self._topic_id = ""
        connection.execute(
            "INSERT INTO analytics.consumer_offset (partition) SELECT generate_series(0, %s) ON CONFLICT DO NOTHING",
            [PARTITIONS - 1],
        )

    def batch(self, *, now: datetime) -> Drained:
        """One batch; waits a little when nothing is there. Raises psycopg.Error and the bus's errors; then nothing of
        it has happened, and this object must be made anew.
        """
        with self._connection.transaction():
            positions = self._partitions_lock()
            messages = self._read(positions)
            if messages and self._reader.topic_id() != self._topic_id:
                raise BusError("the topic was made anew while it was read")
            counted = self._count(messages, now) if messages else Drained()
        self._identifiers.batch_committed()
        for partition in {message.partition for message in messages}:
            self._reader.trim(partition, self._held[partition].position)
        return counted

    def _partitions_lock(self) -> dict[int, str]:
        """Position by partition, of those that are now ours until the transaction ends."""
        self._topic_id = self._reader.topic_id()
        # Those that were looked at longest ago come first, whether they had anything or not: otherwise idle ones would
        # keep busy ones from whoever does not take all.
        rows = self._connection.execute(
            "WITH taken AS MATERIALIZED (SELECT partition FROM analytics.consumer_offset WHERE stopped = ''"
            " ORDER BY updated_at, partition LIMIT %s FOR UPDATE SKIP LOCKED)"
            " UPDATE analytics.consumer_offset o SET updated_at = now() FROM taken WHERE o.partition = taken.partition"
            " RETURNING o.partition, o.topic_id, o.position",
            [self._limits.partitions],
        ).fetchall()
        positions = {}
        for partition, known_id, position in rows:
            if known_id not in {"", self._topic_id}:
                self._stop(partition, "the topic is not the one that the position belongs to")
                continue
            positions[partition] = position
            held = self._held.get(partition)
            if held is None or held.position != position:
                self._held[partition] = _Held(position)
        return positions

    def _read(self, positions: dict[int, str]) -> list[Message]:
        """Up to a batch's events, or what came while a batch may wait."""
        deadline = time.monotonic() + self._limits.wait_s
        messages: list[Message] = []
        if not positions:
            time.sleep(self._limits.wait_s)  # others own everything
            return messages
        places = dict(positions)
        most = max(1, self._limits.events // RECORD_EVENTS)
        while len(messages) < most and (left_s := deadline - time.monotonic()) > 0:
            try:
                found = self._reader.read(places, max_records=most - len(messages), timeout_s=left_s)
            except OffsetLost as error:
                self._stop(error.partition, str(error))
                places.pop(error.partition)
                messages = [message for message in messages if message.partition != error.partition]
                if not places:
                    break
                continue
            messages += found
            places |= {message.partition: message.next for message in found}
        return messages

    def _stop(self, partition: int, reason: str) -> None:
        """Nobody goes on by himself where events may have been lost: see `manage.py ingest --restart`."""
        log.error("ingest_stopped", partition=partition, reason=reason)
        self._connection.execute(
            "UPDATE analytics.consumer_offset SET stopped = %s WHERE partition = %s", [reason, partition]
        )

    def _count(self, messages: list[Message], now: datetime) -> Drained:
        try:
            with self._connection.transaction():
                return self._write(messages, now)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(messages) == 1:
                return self._refused(messages[0], error, now)
        middle = len(messages) // 2
        log.warning("ingest_batch_split", records=len(messages))
        counted = self._count(messages[:middle], now)
        counted.add(self._count(messages[middle:], now))
        return counted

    def _write(self, messages: list[Message], now: datetime) -> Drained:
        connection = self._connection
        tallying = self._tallying(now)
        for message in messages:
            tallying.take(message)
        tally = tallying.tally
        tallying.claimed(write.claims_win(connection, tally.recorded))
        write.totals_write(connection, tally.totals, now=now)
        write.late_write(connection, tally.totals, settled=self._settled())
        write.raw_write(connection, self._raw, self._identifiers, pseudonymised=self._pseudonymised())
        return self._progress(tally)

    def _refused(self, message: Message, error: psycopg.Error, now: datetime) -> Drained:
        """PostgreSQL will never take this one."""
        tallying = self._tallying(now)
        tallying.skip(message)
        reason = f"{type(error).__name__}: {error}"
        tallying.tally.dead.append(DeadLetter(message.partition, message.next, 0, message.payload, reason))
        return self._progress(tallying.tally)

    def _tallying(self, now: datetime) -> Tallying:
        self._identifiers.batch_begin(time.monotonic())
        self._raw.batch_begin(now.timestamp())
        return Tallying(known=self._source, raw=self._raw, window=_window(now), erased=self._erased())

    def _progress(self, tally: Tally) -> Drained:
        """What comes last in a transaction, because it cannot be undone here and must not be half done."""
        write.progress_write(self._connection, tally)
        self._dead_letters_send(tally.dead)
        self._advance(tally.positions)
        for (boot, partition), source in tally.sources.items():
            self._held[partition].sources[boot] = source
        for gap in tally.gaps:
            log.error("events_missing", boot=gap.boot, partition=gap.partition, first=gap.first_seq, count=gap.missing)
        missing = sum(gap.missing for gap in tally.gaps)
        return Drained(1, tally.events, tally.repeated, len(tally.dead), missing)

    def _dead_letters_send(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            log.error("dead_letter", partition=letter.partition, position=letter.position, reason=letter.reason)
            self._reader.dead_letter(
                letter.payload, letter.reason, partition=letter.partition, position=letter.position
            )

    def _advance(self, positions: Mapping[int, str]) -> None:
        for partition, position in sorted(positions.items()):
            held = self._held[partition]
            done = self._connection.execute(
                "UPDATE analytics.consumer_offset SET position = %s, topic_id = %s"
                " WHERE partition = %s AND position = %s",
                [position, self._topic_id, partition, held.position],
            )
            assert done.rowcount == 1, "a partition that was locked has moved"
            held.position = position

    def _source(self, place: Place) -> Source:
        boot, partition = place
        sources = self._held[partition].sources
        if boot not in sources:
            row = self._connection.execute(
                "SELECT last_seq, (extract(epoch FROM heard_at) * 1000)::bigint, is_over FROM analytics.ingest_source"
                " WHERE boot = %s AND partition = %s",
                [boot, partition],
            ).fetchone()
            sources[boot] = Source(*row) if row else Source()
        return sources[boot]

    def _settled(self) -> datetime:
        """Held until the batch commits, so that an hour cannot settle between looking and adding to it."""
        row = self._connection.execute("SELECT until FROM analytics.settled FOR SHARE").fetchone()
        assert row is not None
        until: datetime = row[0]
        return until

    def _erased(self) -> set[int]:
        rows = self._connection.execute("SELECT tenant_id FROM analytics.erased")
        return {tenant for (tenant,) in rows}

    def _pseudonymised(self) -> set[int]:
        rows = self._connection.execute("SELECT tenant_id FROM analytics.preference WHERE pseudonymise")
        return {tenant for (tenant,) in rows}


def _window(now: datetime) -> TimeWindow:
    first = now - TABLE["event"].keep
    return TimeWindow(int(first.timestamp() * 1_000), int((now + FUTURE).astimezone(UTC).timestamp() * 1_000))
