"""What operators are told of ingest, by the role that may not look into its tables."""

import pytest
from prometheus_client import REGISTRY, generate_latest

from apps.analytics.health import MEANINGS, ingest_health
from ratelimiter.events.schema import Group
from tests.analytics.rig import NOW_MS, event, record


def test_health_tells_of_gaps_dead_letters_stops_and_age(bus, counting):
    nothing = ingest_health()
    assert {name: nothing[name] for name in nothing if name != "unsettled_s"} == {
        "lag_s": 0, "missing": 0, "dead_letters": 0, "stopped_partitions": 0, "left_out": 0,
    }  # fmt: skip
    bus.put_raw(record([Group(0, 4, [event(at_ms=NOW_MS - 20_000)])]))
    bus.put_raw(b"nonsense")
    worker = counting()
    worker.all()
    worker.connection.execute("UPDATE analytics.consumer_offset SET stopped = 'why' WHERE partition IN (3, 4)")
    worker.connection.execute("UPDATE analytics.settled SET until = now() - interval '1 hour'")
    health = ingest_health()
    assert (health["missing"], health["dead_letters"], health["stopped_partitions"]) == (3, 1, 2)
    assert health["lag_s"] >= 20
    assert health["unsettled_s"] == pytest.approx(3_600, abs=5)


def test_prometheus_reads_them_all(transactional_db):
    text = generate_latest(REGISTRY).decode()
    for metric, _ in MEANINGS.values():
        assert f"\nratelimiter_ingest_{metric} " in text
