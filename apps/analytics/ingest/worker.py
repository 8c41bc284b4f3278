"""The loop that a Celery task runs for some seconds and `manage.py ingest` runs for good."""

import gc
import time
from collections.abc import Callable, Iterable
from datetime import timedelta

import psycopg
import structlog
from django.conf import settings
from django.utils import timezone

from apps.analytics.ingest.database import Connection, connect
from apps.analytics.ingest.drain import Drained, Ingest, Limits
from ratelimiter.events.bus import BusError, Reader
from ratelimiter.events.buses import reader_make
from ratelimiter.events.spool import PARTITIONS

PAUSE_S = 1.0
SOURCES_KEPT = timedelta(days=90)
CLAIMS_KEPT = timedelta(hours=72)  # a check on record comes again within a day, and may be two days under way

log = structlog.get_logger(__name__)


class Worker:
    """Its connections are made when they are first needed, and anew after whatever goes wrong. For one thread."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits(partitions=-(-PARTITIONS // settings.INGEST_WORKERS))
        self._ingest: Ingest | None = None
        self._connection: Connection | None = None
        self._reader: Reader | None = None

    def run(self, until: Callable[[], bool]) -> Drained:
        """Counts what comes until told to stop. A part that is away is waited for, with a word in the log."""
        total = Drained()
        while not until():
            try:
                total.add(self._ready().batch(now=timezone.now()))
            except (psycopg.OperationalError, BusError) as error:
                log.warning("ingest_interrupted", reason=str(error))
                self.close()
                _pause(PAUSE_S, until)
            except BaseException:
                self.close()
                raise
        return total

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._connection is not None:
            self._connection.close()
        self._ingest = self._reader = self._connection = None

    def _ready(self) -> Ingest:
        if self._ingest is None:
            self._connection = connect()
            self._reader = reader_make(settings.EVENTS_URL)
            self._ingest = Ingest(self._connection, self._reader, self._limits)
            gc.collect()
            gc.freeze()  # Django lives for good, and is not looked through again for every batch
        return self._ingest


def partitions_restart(connection: Connection, partitions: Iterable[int]) -> list[int]:
    """Lets partitions that were stopped go on from the oldest record that the bus has. Returns which were stopped."""
    rows = connection.execute(
        "UPDATE analytics.consumer_offset SET stopped = '', position = '', topic_id = '', updated_at = now()"
        " WHERE partition = ANY(%s) AND stopped <> '' RETURNING partition",
        [list(partitions)],
    )
    return sorted(partition for (partition,) in rows)


def purge(connection: Connection) -> int:
    """What was only needed to tell repeats. Returns how many rows are gone."""
    now = timezone.now()
    gone = identifiers_forget(connection)
    for statement, before in (
        ("DELETE FROM analytics.event_once WHERE claimed_at < %s", now - CLAIMS_KEPT),
        (
            "DELETE FROM analytics.ingest_source WHERE heard_at < %s AND (is_over OR left_out_at IS NOT NULL)",
            now - SOURCES_KEPT,
        ),
        ("DELETE FROM analytics.ingest_gap WHERE found_at < %s", now - SOURCES_KEPT),
        ("DELETE FROM analytics.dead_letter WHERE found_at < %s", now - SOURCES_KEPT),
    ):
        gone += connection.execute(statement, [before]).rowcount
    return gone


def identifiers_forget(connection: Connection) -> int:
    """The text of what tenants have pseudonymised: what was known before must not name those who come again."""
    return connection.execute(
        "DELETE FROM analytics.identifier i USING analytics.preference p"
        " WHERE p.tenant_id = i.tenant_id AND p.pseudonymise AND i.kind <> 'route'"
    ).rowcount


def _pause(seconds: float, until: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        time.sleep(0.05)
