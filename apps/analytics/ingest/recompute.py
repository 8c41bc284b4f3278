"""Rollups of a day made anew from its raw rows, by the same code that made them first.

Only where the raw rows are whole: none sampled, and not fewer than the rollups have seen (collapsed events have none).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from apps.analytics.ingest import write
from apps.analytics.ingest.database import Connection
from apps.analytics.ingest.write import GRAINS
from ratelimiter.events.schema import VERSION, Event
from ratelimiter.events.totals import Totals

DAY = timedelta(days=1)
PAGE = 10_000


class Recomputed(StrEnum):
    DONE = "done"
    SAMPLED = "raw rows are sampled"
    FEWER = "there are fewer raw rows than checks"


@dataclass(frozen=True, slots=True)
class DayRecomputed:
    """`checks` before and after."""

    date: datetime
    outcome: Recomputed
    before: int
    after: int


def day_recompute(connection: Connection, *, tenant_id: int, day: datetime, now: datetime) -> DayRecomputed:
    """`day` is midnight UTC. Ingest waits meanwhile. Nothing is changed unless the outcome is DONE."""
    with connection.transaction():
        connection.execute("SELECT 1 FROM analytics.consumer_offset FOR UPDATE")
        before = _number(
            connection, "SELECT coalesce(sum(allowed + denied), 0) FROM analytics.check_day", tenant_id, day
        )
        if _number(connection, "SELECT coalesce(max(weight), 1) FROM analytics.event", tenant_id, day) > 1:
            return DayRecomputed(day, Recomputed.SAMPLED, before, before)
        totals, after = Totals(), 0
        for events in _events(connection, tenant_id, day):
            totals.add(events)
            after += len(events)
        if after < before:
            return DayRecomputed(day, Recomputed.FEWER, before, before)
        for table in ("check", "rule"):
            for grain in GRAINS:
                connection.execute(
                    f"DELETE FROM analytics.{table}_{grain} WHERE tenant_id = %s AND at >= %s AND at < %s",  # noqa: S608
                    [tenant_id, day, day + DAY],
                )
        write.totals_write(connection, totals, now=now)
    return DayRecomputed(day, Recomputed.DONE, before, after)


def _number(connection: Connection, question: str, tenant_id: int, day: datetime) -> int:
    row = connection.execute(
        f"{question} WHERE tenant_id = %s AND at >= %s AND at < %s", [tenant_id, day, day + DAY]
    ).fetchone()
    assert row is not None
    return int(row[0])


def _events(connection: Connection, tenant_id: int, day: datetime) -> Iterator[list[Event]]:
    """What of the rows rollups are made of."""
    with connection.cursor(name="recompute") as cursor:
        cursor.execute(
            "SELECT at, key_id, live, mode, allowed, degraded, reason, cost, latency_us, namespace, results"
            " FROM analytics.event WHERE tenant_id = %s AND at >= %s AND at < %s",
            [tenant_id, day, day + DAY],
        )
        while rows := cursor.fetchmany(PAGE):
            yield [_event(tenant_id, *row) for row in rows]


def _event(
    tenant_id: int, at: datetime, key_id: int, live: bool, mode: str, allowed: bool, degraded: bool, reason: str,  # noqa: FBT001
    cost: int, latency_us: int, namespace: str, results: list[int],
) -> Event:  # fmt: skip
    at_ms = (at.astimezone(UTC) - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    return Event(
        VERSION, "", at_ms, latency_us, tenant_id, key_id, live, mode, allowed, degraded, reason, cost, namespace,
        None, None, None, {}, results,
    )  # fmt: skip
