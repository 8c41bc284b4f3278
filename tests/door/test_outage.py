"""Redis dies, hangs, forgets: every check is answered in time, by its rules' policies, and exactly again afterwards."""

import threading
import time

import pytest

from ratelimiter.engine.rules import FailurePolicy
from ratelimiter.events.spool import spool_read
from tests.door.rig import Reader, check_bytes, rule, wait_until

WIDE_MS = 34_560_000_000


class Stream:
    """Checks one after the other on one connection; (status, decision, seconds) of each."""

    def __init__(self, door, key, pause_s=0.002):
        self._door, self._request, self._pause_s = door, check_bytes(key), pause_s
        self._stopping = threading.Event()
        self.answers = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        with self._door.connect() as connection:
            reader = Reader(connection)
            while not self._stopping.is_set():
                begun = time.monotonic()
                connection.sendall(self._request)
                answer = reader.response()
                self.answers.append((answer.status, answer.json, time.monotonic() - begun))
                time.sleep(self._pause_s)

    def wait_for(self, count):
        goal = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= goal)

    def slow(self, *, over_ms):
        return sum(seconds * 1_000 > over_ms for _, _, seconds in self.answers)


def one_key_per_policy(house):
    return {
        policy: house.keyring.key(house.keyring.tenant(rule("p", limit=1_000, window_ms=WIDE_MS, on_failure=policy)))
        for policy in FailurePolicy
    }


@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_while_redis_is_away_every_answer_follows_its_policy_within_100_ms(start, how):
    house = start()
    keys = one_key_per_policy(house)
    streams = {policy: Stream(house.door, key) for policy, key in keys.items()}
    with streams[FailurePolicy.LOCAL], streams[FailurePolicy.OPEN], streams[FailurePolicy.CLOSED]:
        for stream in streams.values():
            stream.wait_for(30)
        house.settle()
        house.valkey.kill() if how == "killed" else house.valkey.freeze()
        for stream in streams.values():
            stream.wait_for(150)
        seen = {policy: stream.answers[-100:] for policy, stream in streams.items()}
    # The door's own clock is the one that counts: a busy machine delays the client of this test, too.
    events = [event for _, group in spool_read(house.door.spool) for event in group.events]
    assert len(events) >= 3 * 180
    assert max(event.latency_us for event in events) <= 100_000
    for stream in streams.values():
        assert stream.slow(over_ms=100) <= len(stream.answers) // 50
        assert {status for status, _, _ in stream.answers} <= {200, 429}
    for policy, (status, reason) in {
        FailurePolicy.LOCAL: (200, "ok"),
        FailurePolicy.OPEN: (200, "fallback_open"),
        FailurePolicy.CLOSED: (429, "fallback_closed"),
    }.items():
        assert {(found, body["reason"], body["degraded"]) for found, body, _ in seen[policy]} == {
            (status, reason, True)
        }


def test_the_local_fallback_goes_on_where_the_store_stood_and_then_refuses(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule(limit=50, window_ms=WIDE_MS)))
    house.settle()
    for _ in range(30):
        assert house.door.check(key).status == 200
    house.valkey.kill()
    found = [house.door.check(key) for _ in range(40)]
    assert all(answer.json["degraded"] for answer in found)
    assert [answer.status for answer in found] == [200] * 20 + [429] * 20


def test_a_refusal_by_policy_says_when_to_come_back(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule(on_failure=FailurePolicy.CLOSED)))
    house.settle()
    assert house.door.check(key).status == 200
    house.valkey.kill()
    wait_until(lambda: house.door.check(key).status == 429)
    answer = house.door.check(key)
    assert (answer.headers["retry-after"], answer.headers["rl-decision"]) == ("1", "deny")


def test_after_redis_returns_empty_counting_is_exact_again(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule(limit=100, window_ms=WIDE_MS)))
    house.settle()
    assert house.door.check(key).status == 200
    house.valkey.kill()
    assert house.door.check(key).json["degraded"] is True
    house.valkey.start()
    wait_until(lambda: not house.door.check(key, mode="peek").json["degraded"], within_s=5)
    found = [house.door.check(key) for _ in range(120)]
    assert [answer.json["degraded"] for answer in found] == [False] * 120
    assert [answer.status for answer in found] == [200] * 100 + [429] * 20


def test_a_redis_that_hung_counts_nothing_of_what_was_answered_without_it(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule(limit=1_000, window_ms=WIDE_MS)))
    house.settle()
    assert house.door.check(key).json["remaining"] == 999
    house.valkey.freeze()
    answers = []

    def ask():
        answers.append(house.door.check(key).json)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer["degraded"] for answer in answers)
    time.sleep(0.1)
    house.valkey.thaw()
    wait_until(lambda: not house.door.check(key, mode="peek").json["degraded"], within_s=5)
    assert house.door.check(key, mode="peek", cost=1).json["remaining"] == 998


def test_a_script_that_redis_forgot_is_sent_again_without_anybody_noticing(house):
    key = house.keyring.key(house.keyring.tenant(rule(limit=100)))
    for expected in range(99, 69, -1):
        if expected % 10 == 0:
            house.valkey.client.script_flush()
        answer = house.door.check(key)
        assert (answer.json["degraded"], answer.json["remaining"]) == (False, expected)


def test_a_redis_that_refuses_to_write_degrades_and_recovers(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule(limit=100)))
    assert house.door.check(key).json["degraded"] is False
    house.valkey.client.config_set("maxmemory", 1)
    assert house.door.check(key).json["degraded"] is True
    house.valkey.client.config_set("maxmemory", 0)
    wait_until(lambda: not house.door.check(key).json["degraded"], within_s=3)


def test_a_door_that_starts_without_redis_serves_503_until_it_comes(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule()))
    house.settle()
    house.door.stop()
    house.valkey.kill()
    from tests.door.rig import DoorProcess

    door = DoorProcess(house.valkey, house.door.spool, ready=False)
    try:
        assert door.check(key).status == 503
        assert door.get("/readyz").status == 503
        house.valkey.start()
        house.keyring.republish()
        wait_until(lambda: door.check(key).status == 200, within_s=5)
        wait_until(lambda: door.get("/readyz").status == 200, within_s=5)
    finally:
        door.stop()
