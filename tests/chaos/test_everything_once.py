"""Every check that was answered is stored once and counted once, whatever is killed on the way.

CHAOS_CHECKS and CHAOS_KILLS say how many checks there are at least, and how often each part is killed at least;
CHAOS_OUTAGE_S how long the bus is away in the end. `make test-long` asks for a million, ten and a minute.
"""

import os
import random
import signal
import time
from types import SimpleNamespace

import pytest

from tests.chaos.rig import Clients, Way, part_kill, part_named

CHECKS = int(os.environ.get("CHAOS_CHECKS", "20000"))
KILLS = int(os.environ.get("CHAOS_KILLS", "2"))
OUTAGE_S = float(os.environ.get("CHAOS_OUTAGE_S", "6"))
VICTIMS = ("door", "ship", "ingest", "bus", "postgres")
REST_S = 60 + CHECKS / 2_000


def streams(parts):
    """Redis Streams. Away is frozen here: connections stay open, and nobody answers."""

    def away(seconds):
        process = part_named(parts, "bus").process
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    return SimpleNamespace(url=parts.bus_url, kill=lambda: part_kill(parts, "bus"), away=away)


@pytest.fixture(params=["streams", "kafka"])
def bus_new(request):
    """Makes the bus, of the parts that everything else is made of or of its own."""
    if request.param == "streams":
        return streams
    kafka = request.getfixturevalue("kafka")

    def kill():
        kafka.kill()
        kafka.start()

    def away(seconds):
        kafka.kill()
        time.sleep(seconds)
        kafka.start()

    return lambda _: SimpleNamespace(url=kafka.url, kill=kill, away=away)


@pytest.fixture
def way(bus_new, tmp_path_factory):
    made = Way(tmp_path_factory.mktemp("chaos"), bus_new)
    yield made
    made.close()


def test_every_answered_check_is_counted_once_whatever_is_killed(way):
    chance = random.Random(7)
    clients = Clients(way, pause_s=0.02)
    order = [victim for _ in range(KILLS) for victim in chance.sample(VICTIMS, len(VICTIMS))]
    while order or len(clients.answered) < CHECKS:
        time.sleep(chance.uniform(0.2, 1.2))
        way.kill(order.pop() if order else chance.choice(VICTIMS))
    clients.stop()
    way.door_stop()
    everything_is_counted_once(way, clients)


def test_while_the_bus_is_away_checks_are_answered_and_all_are_counted_afterwards(way):
    clients = Clients(way, pause_s=0.05)
    time.sleep(1)
    before = len(clients.answered)
    way.bus.away(OUTAGE_S)
    assert len(clients.answered) > before + 100 * OUTAGE_S
    time.sleep(1)
    clients.stop()
    way.door_stop()
    assert clients.cut_off == 0
    everything_is_counted_once(way, clients)


def everything_is_counted_once(way, clients):
    deadline = time.monotonic() + REST_S
    while not way.at_rest():
        assert time.monotonic() < deadline, (way.kills, list((way.folder / "spool").iterdir()), way._lag())
        time.sleep(0.2)
    stored = dict(way.rows("SELECT id, count(*) FROM analytics.event GROUP BY id"))
    answered = set(clients.answered)
    assert len(answered) == len(clients.answered)
    assert {name: times for name, times in stored.items() if times != 1} == {}, "counted twice"
    assert len(answered - stored.keys()) == 0, "lost"
    assert len(stored.keys() - answered) <= clients.cut_off, "counted, but never asked"
    for grain in ("minute", "hour", "day"):
        sums = way.rows(
            "SELECT sum(allowed + denied)::bigint, sum(allowed)::bigint, sum((SELECT sum(n) FROM unnest(latency) AS n))"
            f"::bigint FROM analytics.check_{grain}"
        )
        allowed = way.rows("SELECT count(*) FILTER (WHERE allowed) FROM analytics.event")[0][0]
        assert sums == [(len(stored), allowed, len(stored))]
    assert way.rows("SELECT * FROM analytics.ingest_gap") == []
    assert way.rows("SELECT * FROM analytics.dead_letter") == []
    print(f"{len(answered)} answered, {len(stored)} stored, {clients.cut_off} cut off, kills: {dict(way.kills)}")
