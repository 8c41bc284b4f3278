"""Events: on the spool before the answer leaves, and readable whatever happened to the process."""

import subprocess
import sys
import threading

import pytest

from ratelimiter.engine.applied import DENIED, PASSED, SHADOW_DENIED, outcome_code
from ratelimiter.engine.rules import RuleMode, RuleType
from ratelimiter.events.frames import frame_pack, frames_at, frames_read
from ratelimiter.events.schema import VERSION, Event
from ratelimiter.events.spool import Spool, spool_read, spool_segments
from tests.door.rig import ROOT, Closed, Reader, check_bytes, rule, wait_until


def event(number, tenant=1):
    return Event(
        VERSION, f"chk_{number}", number, 1, tenant, 1, True, "consume", True, False, "ok", 1, "default",
        None, None, None, {}, [outcome_code(1, PASSED)],
    )  # fmt: skip


def read(folder):
    return [(boot, group.partition, group.first + at, event.id)
            for boot, group in spool_read(folder) for at, event in enumerate(group.events)]  # fmt: skip


@pytest.fixture
def spool(tmp_path):
    made = []

    def make(boot="boot", max_bytes=2**26):
        made.append(Spool(tmp_path / "spool", boot=boot, max_bytes=max_bytes))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_events_come_back_in_order_numbered_per_partition(spool, tmp_path):
    one = spool()
    for start in range(0, 100, 7):
        one.append([event(number, tenant=number % 3) for number in range(start, min(start + 7, 100))])
    found = read(tmp_path / "spool")
    assert sorted(name for *_, name in found) == sorted(f"chk_{number}" for number in range(100))
    for partition in range(3):
        numbers = [number for _, place, number, _ in found if place == partition]
        assert numbers == list(range(1, len(numbers) + 1))
    assert one.written == 100


def test_a_torn_tail_hides_nothing_before_it(tmp_path):
    path = tmp_path / "segment"
    whole = b"".join(frame_pack(payload) for payload in (b"one", b"two", b""))
    torn = frame_pack(b"three" * 100)
    for cut in range(len(torn)):
        path.write_bytes(whole + torn[:cut])
        assert list(frames_read(path)) == [b"one", b"two", b""]
    path.write_bytes(whole + torn[:-1] + b"\xff")
    assert len(list(frames_read(path))) == 3
    path.write_bytes(whole + b"\xff" * 8 + torn)
    assert len(list(frames_read(path))) == 3
    path.write_bytes(whole + torn)
    with path.open("rb") as file:
        offsets = [offset for offset, _ in frames_at(file.fileno(), 0, 2**20)]
        assert next(payload for _, payload in frames_at(file.fileno(), offsets[1], 1)) == b""
        assert [payload for _, payload in frames_at(file.fileno(), offsets[2], 1)] == [b"three" * 100]


def test_the_oldest_segments_go_when_the_bound_is_reached_but_never_one_that_is_written(spool, tmp_path):
    idle = spool(boot="idle")
    idle.append([event(1)])
    busy = spool(boot="busy", max_bytes=100_000)
    for number in range(5_000):
        busy.append([event(number)])
    folder = tmp_path / "spool"
    assert sum(path.stat().st_size for path in spool_segments(folder)) <= 100_000
    assert busy.trimmed_segments > 0
    assert busy.trimmed_bytes > 0
    found = read(folder)
    assert ("idle", 1, 1, "chk_1") in found
    numbers = [number for boot, _, number, _ in found if boot == "busy"]
    assert numbers == list(range(numbers[0], 5_001))


def test_a_full_disk_is_counted_and_leaves_no_torn_frame_in_the_middle(tmp_path):
    code = """
import resource, signal, sys
from pathlib import Path
from ratelimiter.events.spool import Spool
from tests.door.test_spool import event
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]), boot="b", max_bytes=2**26)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
for number in range(50):
    spool.append([event(number)])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append([event(99)])
spool.close()
print(spool.written, spool.lost)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "spool"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    written, lost = map(int, done.stdout.split())
    assert (written + lost, lost > 0) == (51, True)
    found = read(tmp_path / "spool")
    assert [number for _, _, number, _ in found] == list(range(1, written + 1))
    assert found[-1][3] == "chk_99"


def test_a_folder_that_vanished_stops_no_answer(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule()))
    house.door.spool.rename(house.door.spool.with_name("elsewhere"))
    for _ in range(10):
        assert house.door.check(key).status == 200
    from tests.door.test_metrics import metric

    wait_until(lambda: metric(house.door, "ratelimiter_door_events_lost_total") == 10, within_s=3)


def test_every_kind_of_check_leaves_its_event_and_nothing_else_does(start):
    house = start()
    tenant = house.keyring.tenant(
        rule("user-1", limit=1, type=RuleType.USER, key=("user",)), rule("tried", limit=1, mode=RuleMode.SHADOW)
    )
    key, forbidden = house.keyring.key(tenant), house.keyring.key(tenant, scopes=("read",))
    test_key = house.keyring.key(tenant, live=False)
    told = {"user": "u", "ip": "192.0.2.1", "route": "GET /x", "attributes": {"plan": "pro"}}
    house.door.check(key, **told)
    house.door.check(key, user="v")
    house.door.check(key, user="u", cost=1)
    house.door.check(test_key, user="u", mode="report", cost=3)
    house.door.check(key, user="u", mode="peek")
    house.door.check(key, nonsense=1)
    house.door.check(key, namespace="nowhere")
    house.door.check("rl_live_no")
    house.door.check(forbidden)
    house.door.check(key, path="/v1/check/batch", checks=[{"user": "w"}, {"user": 1}])
    events = [event for _, group in spool_read(house.door.spool) for event in group.events]
    assert [(e.user, e.mode, e.live, e.cost, e.allowed, e.reason) for e in events] == [
        ("u", "consume", True, 1, True, "ok"),
        ("v", "consume", True, 1, True, "ok"),
        ("u", "consume", True, 1, False, "limit_exceeded"),
        ("u", "report", False, 3, True, "ok"),
        ("w", "consume", True, 1, True, "ok"),
    ]
    assert [[code & 3 for code in e.results] for e in events[:3]] == [
        [PASSED, PASSED], [PASSED, SHADOW_DENIED], [DENIED, SHADOW_DENIED],
    ]  # fmt: skip
    first = events[0]
    assert (first.ip, first.route, first.attributes, first.tenant) == ("192.0.2.1", "GET /x", {"plan": "pro"}, tenant)
    assert 0 <= first.latency_us < 1_000_000
    raw = b"".join(path.read_bytes() for path in spool_segments(house.door.spool))
    assert key.encode() not in raw


def test_degraded_answers_leave_events_that_say_so(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule()))
    house.settle()
    house.door.check(key)
    house.valkey.kill()
    wait_until(lambda: house.door.check(key).json["degraded"])
    events = [event for _, group in spool_read(house.door.spool) for event in group.events]
    assert events[-1].degraded is True


def test_every_answered_check_survives_the_death_of_the_door(start):
    house = start(workers=2)
    key = house.keyring.key(house.keyring.tenant(rule(limit=2**31 - 1)))
    answered, lock = set(), threading.Lock()

    def ask():
        with house.door.connect() as connection:
            reader = Reader(connection)
            try:
                while True:
                    connection.sendall(check_bytes(key) * 4)
                    for _ in range(4):
                        found = reader.response().json["id"]
                        with lock:
                            answered.add(found)
            except (OSError, Closed):
                return

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) > 3_000)
    house.door.kill()
    for thread in threads:
        thread.join()
    spooled = [event.id for _, group in spool_read(house.door.spool) for event in group.events]
    assert len(spooled) == len(set(spooled))
    assert answered <= set(spooled)
    assert len(spooled) - len(answered) < 200


def test_nothing_in_the_spool_is_readable_by_others(start):
    house = start()
    house.door.check(house.keyring.key(house.keyring.tenant(rule())))
    assert house.door.spool.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in spool_segments(house.door.spool))


def test_a_lock_that_is_refused_once_costs_one_batch_and_not_the_process(spool, tmp_path, monkeypatch):
    from ratelimiter.events import spool as module

    refuse = iter([True])

    def flock(descriptor, operation):
        if next(refuse, False):
            raise BlockingIOError("another process looks at the file")
        return real(descriptor, operation)

    real = module.fcntl.flock
    monkeypatch.setattr(module.fcntl, "flock", flock)
    one = spool()
    one.append([event(1)])
    one.append([event(2)])
    assert (one.lost, one.written) == (1, 1)
    assert [row[3] for row in read(tmp_path / "spool")] == ["chk_2"]
