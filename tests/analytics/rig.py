"""Events on a real bus, ingest into the real database, and looking at what came of them."""

import itertools
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from apps.analytics.ingest.database import connect
from apps.analytics.ingest.drain import Ingest, Limits
from ratelimiter.engine.applied import PASSED, outcome_code
from ratelimiter.events.buses import producer_make, reader_make
from ratelimiter.events.schema import VERSION, Event, Group, groups_decode_sealed, groups_encode, record_encode
from ratelimiter.events.spool import PARTITIONS

BOTH = pytest.mark.parametrize("bus", ["streams", "kafka"], indirect=True)
NOW = datetime.now(UTC)
NOW_MS = int(NOW.timestamp() * 1_000)
_numbers = itertools.count(1)


def event(**changes):
    facts = {
        "version": VERSION, "id": f"chk_{next(_numbers):024x}", "at_ms": NOW_MS, "latency_us": 500, "tenant": 16,
        "key_id": 3, "live": True, "mode": "consume", "allowed": True, "degraded": False, "reason": "ok", "cost": 1,
        "namespace": "default", "ip": "203.0.113.9", "route": "POST /v1/chat", "user": "u_1", "attributes": {},
        "results": [outcome_code(1, PASSED)],
    }  # fmt: skip
    return Event(**facts | changes)


def record(groups, boot="boot"):
    return record_encode(boot, groups_decode_sealed(groups_encode(groups)))


class Bus:
    """The bus as shippers use it, one record at a time. `carrier` is what tests.events has of it."""

    def __init__(self, carrier):
        self.carrier = carrier
        self.url = carrier.url
        self.producer = producer_make(self.url)
        self._next = Counter()
        self._failures = []

    def put(self, *events, boot="boot", heard_ms=0, last=False):
        """Events of one tenant, or a heartbeat, numbered on."""
        partition = events[0].tenant % PARTITIONS if events else 0
        group = Group(partition, self._next[boot, partition] + 1, list(events), heard_ms, last)
        self._next[boot, partition] += len(events)
        self.put_raw(record([group], boot), partition)
        return group

    def put_heartbeats(self, partitions, heard_ms, *, boot="boot", last=False):
        for partition in partitions:
            group = Group(partition, self._next[boot, partition] + 1, [], heard_ms, last)
            self.producer.send(partition, record([group], boot), self._failures.append)
        self._flush()

    def put_raw(self, payload, partition=0):
        self.producer.send(partition, payload, self._failures.append)
        self._flush()

    def _flush(self):
        assert self.producer.flush(10)
        assert set(self._failures) == {None}

    def close(self):
        self.producer.close()


class Counting:
    """An ingest worker of its own."""

    def __init__(self, url, **limits):
        self.connection = connect()
        self.reader = reader_make(url)
        wait_s = 0.4 if url.startswith("kafka") else 0.05  # Kafka takes a while to begin somewhere else
        self.ingest = Ingest(self.connection, self.reader, Limits(**{"wait_s": wait_s} | limits))

    def all(self, *, now=None):
        """Everything that is on the bus and not stopped; what was counted in sum."""
        total = Counter()
        deadline = time.monotonic() + 60
        while True:
            batch = self.ingest.batch(now=now or datetime.now(UTC))
            total.update({name: getattr(batch, name) for name in batch.__slots__ if batch.batches})
            if not batch.batches and not self._lag():
                return total
            assert time.monotonic() < deadline

    def _lag(self):
        """Kafka may take longer than a batch waits."""
        places = rows(self.connection, "SELECT partition, position FROM analytics.consumer_offset WHERE stopped = ''")
        return sum(self.reader.lag(dict(places)).values()) if places else 0

    def close(self):
        self.connection.close()
        self.reader.close()


def rows(connection, query, *parameters):
    return connection.execute(query, parameters).fetchall()


def sums(connection, table):
    """(allowed, denied, shadow-denied, cost) of the whole table."""
    [row] = rows(
        connection,
        "SELECT coalesce(sum(allowed), 0), coalesce(sum(denied), 0), coalesce(sum(shadow_denied), 0),"
        f" coalesce(sum(cost), 0) FROM analytics.{table}",
    )
    return tuple(map(int, row))


def wait_for(condition, *, within_s=20.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
