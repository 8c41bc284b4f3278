"""One Redis that hangs or forgets its scripts."""

import os
import threading
import time

import pytest

from ratelimiter.events.spool import spool_read
from tests.door.rig import Valkey, rule, wait_until
from tests.topologies.traffic import Traffic, assert_counted

LIMIT = 1_000_000
FLUSH_S = int(os.environ.get("FLUSH_S", "10"))


@pytest.fixture
def valkey(tmp_path):
    valkey = Valkey(tmp_path / "valkey")
    valkey.flush = valkey.client.flushall
    yield valkey
    valkey.stop()


@pytest.mark.slow
def test_a_redis_that_hangs_for_ten_seconds_costs_nobody_time_and_counts_no_more_than_was_in_flight(valkey, served):
    house = served(valkey)
    key = house.keyring.key(house.keyring.tenant(rule(limit=LIMIT)))
    with Traffic(house.door, [key]) as one, Traffic(house.door, [key]) as two, Traffic(house.door, [key]) as three:
        clients = (one, two, three)
        for traffic in clients:
            traffic.wait_for(30)
        house.settle()
        frozen_at = time.monotonic()
        valkey.freeze()
        time.sleep(10)
        valkey.thaw()
        thawed_at = time.monotonic()
        wait_until(lambda: all(traffic.answers[-1].counted for traffic in clients), within_s=3, what="the recovery")
    answers = [seen for traffic in clients for seen in traffic.answers]
    during = [seen for seen in answers if frozen_at + 0.1 < seen.at < thawed_at]
    assert len(during) > 1_000
    assert not any(seen.counted for seen in during)
    assert {seen.status for seen in answers} == {200}
    # The door's own clock is the one that counts: a busy machine delays this test's clients, too.
    events = [event for _, group in spool_read(house.door.spool) for event in group.events]
    assert sum(event.latency_us > 100_000 for event in events) <= len(events) // 100
    counted = LIMIT - 1 - house.door.check(key, mode="peek").json["remaining"]
    assert 0 <= counted - sum(seen.counted for seen in answers) <= len(clients)


@pytest.mark.slow
def test_scripts_that_are_flushed_ten_times_a_second_are_noticed_by_nobody(valkey, served):
    house = served(valkey)
    keys = [house.keyring.key(house.keyring.tenant(rule(limit=LIMIT))) for _ in range(3)]
    stopping = threading.Event()
    flushed = 0

    def flush():
        nonlocal flushed
        while not stopping.wait(0.1):
            valkey.client.script_flush()
            flushed += 1

    thread = threading.Thread(target=flush)
    with Traffic(house.door, keys) as traffic:
        thread.start()
        wait_until(lambda: flushed >= FLUSH_S * 9, within_s=2 * FLUSH_S, what="the flushing")
        stopping.set()
        thread.join()
    assert {seen.status for seen in traffic.answers} == {200}
    assert_counted(house.door, traffic.answers)
    for key, answers in traffic.seen.items():
        degraded = sum(not seen.counted for seen in answers)
        counted = LIMIT - 1 - house.door.check(key, mode="peek").json["remaining"]
        assert 0 <= counted - (len(answers) - degraded) <= degraded
