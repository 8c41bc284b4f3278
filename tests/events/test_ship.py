"""From the spool to the bus: everything, in order, whatever is killed; and what happens when the disk fills up."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from ratelimiter.engine.applied import PASSED, outcome_code
from ratelimiter.environ import EnvironmentInvalid
from ratelimiter.events.buses import producer_make
from ratelimiter.events.collapse import collapse_when_full, segment_collapse
from ratelimiter.events.frames import frames_read
from ratelimiter.events.records import RECORD_BYTES, RECORD_EVENTS
from ratelimiter.events.schema import VERSION, Event, groups_decode, record_decode
from ratelimiter.events.segments import spooled_events
from ratelimiter.events.ship import Shipper, folder_lock
from ratelimiter.events.spool import PARTITIONS, Spool, spool_segments
from ratelimiter.events.totals import Totals

ROOT = Path(__file__).resolve().parents[2]
MB = 2**20
_numbers = itertools.count(1)


def event(tenant=1, **changes):
    facts = {
        "version": VERSION, "id": f"chk_{next(_numbers)}", "at_ms": 1_800_000_000_000, "latency_us": 9,
        "tenant": tenant, "key_id": 1, "live": True, "mode": "consume", "allowed": True, "degraded": False,
        "reason": "ok", "cost": 2, "namespace": "default", "ip": None, "route": None, "user": None, "attributes": {},
        "results": [outcome_code(1, PASSED)],
    }  # fmt: skip
    return Event(**facts | changes)


def arrived(messages):
    """Ids of events by (boot, partition), each number once, in order; and how many came again."""
    held, last, repeated = {}, Counter(), 0
    for message in messages:
        record = record_decode(message.payload)
        for group in record.groups:
            assert group.partition == message.partition
            place = (record.boot, group.partition)
            for number, one in enumerate(group.events, group.first):
                if number <= last[place]:
                    repeated += 1
                    continue
                assert number == last[place] + 1, f"events of {place} are missing before {number}"
                last[place] = number
                held.setdefault(place, []).append(one.id)
    return held, repeated


def by_place(events, boot="boot"):
    places = {}
    for one in events:
        places.setdefault((boot, one.tenant % PARTITIONS), []).append(one.id)
    return places


def until_idle(shipper):
    """Ships until nothing is left to send and all of it is delivered."""
    quiet = 0
    while quiet < 3:
        quiet = 0 if shipper.turn() or shipper.stalled_s else quiet + 1
        time.sleep(0.01)


@pytest.fixture
def spool(tmp_path):
    made = []

    def make(boot="boot", max_bytes=64 * MB):
        made.append(Spool(tmp_path / "spool", boot=boot, max_bytes=max_bytes))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def shipper(tmp_path, producer_new):
    made = Shipper(tmp_path / "spool", producer_new, max_bytes=64 * MB)
    yield made
    made.rewind()


def test_everything_arrives_in_order_and_delivered_segments_go(spool, shipper, everything, tmp_path):
    one = spool(max_bytes=32 * MB)  # segments of 2 MB
    events = [event(tenant=n % 5, user="u" * 300) for n in range(20_000)]
    for at in range(0, len(events), 500):
        one.append(events[at : at + 500])
        shipper.turn()
    until_idle(shipper)
    held, repeated = arrived(everything())
    assert held == by_place(events)
    assert repeated == 0
    assert shipper.counts.events == len(events)
    assert len(spool_segments(tmp_path / "spool")) == 1  # the one that is being written
    while spooled_events(tmp_path / "spool"):
        shipper.turn()  # until the cursor is written
    one.close()
    until_idle(shipper)
    assert list((tmp_path / "spool").iterdir()) == []


def test_records_hold_a_bounded_number_of_events_and_of_bytes(spool, shipper, everything):
    one = spool()
    big = [event(user="x" * 100_000) for _ in range(20)]
    small = [event() for _ in range(150)]
    one.append(big)
    one.append(small)
    until_idle(shipper)
    messages = everything()
    sizes = [sum(len(group.events) for group in record_decode(message.payload).groups) for message in messages]
    assert sum(sizes) == len(big) + len(small)
    assert max(sizes) <= RECORD_EVENTS
    assert max(len(message.payload) for message in messages) <= RECORD_BYTES + 1_000
    assert len(messages) <= len(big) / 5 + len(small) / 64 + 2


def test_heartbeats_and_the_farewell_arrive_behind_what_they_speak_of(spool, shipper, everything):
    one = spool()
    one.append([event()])
    one.heartbeat(1_234)
    one.append([event()])
    one.close(5_678)
    until_idle(shipper)
    groups = [group for message in everything() for group in record_decode(message.payload).groups]
    told = [(len(group.events), group.heard_ms, group.last) for group in groups if group.partition == 1]
    assert told == [(1, 0, False), (0, 1_234, False), (1, 0, False), (0, 5_678, True)]
    assert {group.partition for group in groups if group.last} == set(range(PARTITIONS))


class Moody:
    """A real producer whose deliveries fail now and then, as far as the shipper can tell."""

    def __init__(self, producer, chance):
        self._producer, self._chance = producer, chance

    def send(self, partition, payload, done):
        def moody(error):
            done(OSError("no answer") if self._chance.random() < 0.02 else error)

        self._producer.send(partition, payload, moody)

    def __getattr__(self, name):
        return getattr(self._producer, name)


def test_what_was_not_delivered_is_sent_again_and_no_number_is_left_out(spool, bus_url, everything, tmp_path):
    chance = random.Random(4)
    made = []

    def producer_new():
        made.append(producer_make(bus_url))
        return Moody(made[-1], chance)

    shipper = Shipper(tmp_path / "spool", producer_new, max_bytes=64 * MB)
    stopping = threading.Event()
    one = spool(max_bytes=4 * MB)
    events = [event(tenant=n % 3, user="u" * 300) for n in range(12_000)]
    thread = threading.Thread(target=shipper.run, args=[stopping])
    thread.start()
    for at in range(0, len(events), 100):
        one.append(events[at : at + 100])
        time.sleep(0.005)
    one.close()
    deadline = time.monotonic() + 60
    while spool_segments(tmp_path / "spool") and time.monotonic() < deadline:
        time.sleep(0.05)
    stopping.set()
    thread.join()
    held, repeated = arrived(everything())
    assert held == by_place(events)
    assert repeated > 0
    assert len(made) > 1


def test_a_shipper_that_is_killed_again_and_again_loses_nothing(spool, bus_url, everything, tmp_path):
    environment = os.environ | {"SPOOL_DIR": str(tmp_path / "spool"), "EVENTS_URL": bus_url}
    command = [sys.executable, "-m", "ratelimiter.events.ship"]
    one = spool(max_bytes=32 * MB)
    events = []
    for _ in range(8):
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        until = time.monotonic() + random.Random(len(events)).uniform(0.4, 0.9)
        while time.monotonic() < until:
            more = [event(tenant=n % 4, user="u" * 200) for n in range(40)]
            one.append(more)
            events += more
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    one.close()
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    deadline = time.monotonic() + 60
    while spool_segments(tmp_path / "spool") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=20) == 0
    held, _ = arrived(everything())
    assert held == by_place(events)


def test_a_folder_has_one_shipper(tmp_path):
    with folder_lock(tmp_path), pytest.raises(EnvironmentInvalid, match="another shipper"):
        folder_lock(tmp_path)


class TestCollapse:
    def collapsed(self, path):
        return [group for payload in frames_read(path) for group in groups_decode(payload)]

    def test_sums_are_exact_and_what_is_on_record_stays(self, spool, tmp_path):
        one = spool()
        events = [event(tenant=1, allowed=n % 3 > 0, recorded=n % 10 == 0) for n in range(1_000)]
        for at in range(0, 1_000, 9):
            one.append(events[at : at + 9])
        one.heartbeat(77)
        one.close()
        [path] = spool_segments(tmp_path / "spool")
        before = path.stat().st_size
        for _ in range(2):  # again changes nothing
            assert segment_collapse(path) == 900
            groups = [group for group in self.collapsed(path) if group.partition == 1]
            assert [one.id for group in groups for one in group.events] == [one.id for one in events if one.recorded]
            numbers = [(group.first, group.count) for group in groups]
            assert all(first + count == after for (first, count), (after, _) in itertools.pairwise(numbers))
            assert (numbers[0][0], sum(count for _, count in numbers)) == (1, 1_000)
            expected = Totals()
            expected.add(one for one in events if not one.recorded)
            assert groups[-1].collapsed == expected.collapsed(900)
            assert groups[-1].heard_ms == 77
        assert path.stat().st_size < before / 5

    def test_a_full_spool_collapses_what_nobody_has_begun_oldest_first(self, spool, tmp_path):
        folder = tmp_path / "spool"
        one = spool(max_bytes=32 * MB)
        while len(spool_segments(folder)) < 3:
            one.append([event(user="u" * 500) for _ in range(100)])
        first, second, *_ = spool_segments(folder)
        sizes = {path: path.stat().st_size for path in spool_segments(folder)}
        assert collapse_when_full(folder, 100 * MB) == 0
        assert collapse_when_full(folder, 5 * MB, known=[first]) > 0
        assert first.stat().st_size == sizes[first]
        assert second.stat().st_size < sizes[second] / 10

    def test_while_the_bus_is_away_sums_stay_whole_within_the_budget(self, spool, producer_new, everything, tmp_path):
        folder = tmp_path / "spool"
        one = spool(max_bytes=4 * MB)
        away = Shipper(folder, lambda: (_ for _ in ()).throw(OSError("away")), max_bytes=4 * MB)
        stopping = threading.Event()
        thread = threading.Thread(target=away.run, args=[stopping])
        thread.start()
        written = 0
        for _ in range(240):
            one.append([event(user="u" * 500) for _ in range(60)])
            written += 60
            time.sleep(0.03)
        stopping.set()
        thread.join()
        one.close()
        assert away.counts.collapsed > 0
        assert one.trimmed_segments == 0
        shipper = Shipper(folder, producer_new, max_bytes=4 * MB)
        until_idle(shipper)
        shipper.rewind()
        groups = [group for message in everything() for group in record_decode(message.payload).groups]
        assert sum(group.count for group in groups) == written
        totals = Totals()
        for group in groups:
            totals.add(group.events)
            if group.collapsed is not None:
                totals.merge(group.collapsed)
        assert sum(row[0] for row in totals.checks.values()) == written
