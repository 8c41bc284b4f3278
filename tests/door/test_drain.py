"""Stopping without a failed request."""

import os
import signal
import threading
import time

from ratelimiter.engine import keys
from tests.door.rig import Closed, Reader, check_bytes, rule, wait_until


class Stream:
    """Clients with keep-alive connections that check without a pause. A client whose connection is closed *after* an
    answer that said so connects anew; anything else is a failure.
    """

    def __init__(self, door, key, clients=8):
        self._door = door
        self._request = check_bytes(key)
        self._stopping = threading.Event()
        self.answers = []
        self.failures = []
        self.refused = 0
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._stopping.is_set():
            try:
                connection = self._door.connect()
            except ConnectionRefusedError:
                self.refused += 1
                time.sleep(0.01)
                continue
            with connection:
                self._use(connection)

    def _use(self, connection):
        reader = Reader(connection)
        while not self._stopping.is_set():
            sent_at = time.monotonic()
            try:
                connection.sendall(self._request)
                answer = reader.response()
            except (OSError, Closed) as error:
                self.failures.append(error)
                return
            self.answers.append((answer.status, time.monotonic() - sent_at))
            if answer.headers.get("connection") == "close":
                return


def test_a_worker_that_is_told_to_stop_fails_no_request(start):
    house = start(workers=2)
    key = house.keyring.key(house.keyring.tenant(rule(limit=2**31 - 1)))
    with Stream(house.door, key) as stream:
        for _ in range(3):
            victim = house.door.workers()[0]
            begun = len(stream.answers)
            os.kill(victim, signal.SIGTERM)
            wait_until(lambda victim=victim: victim not in house.door.workers())
            wait_until(lambda begun=begun: len(stream.answers) > begun + 200)
    assert stream.failures == []
    assert {status for status, _ in stream.answers} == {200}


def test_a_reload_fails_no_request(start):
    house = start(workers=2)
    key = house.keyring.key(house.keyring.tenant(rule(limit=2**31 - 1)))
    with Stream(house.door, key) as stream:
        before = set(house.door.workers())
        house.door.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not before & set(house.door.workers()), within_s=15)
    assert stream.failures == []
    assert {status for status, _ in stream.answers} == {200}


def test_stopping_the_whole_door_answers_everything_that_was_sent(start):
    house = start(workers=2)
    key = house.keyring.key(house.keyring.tenant(rule(limit=2**31 - 1)))
    with Stream(house.door, key) as stream:
        wait_until(lambda: len(stream.answers) > 500)
        house.door.terminate()
        house.door.process.wait(timeout=15)
    assert stream.failures == []
    assert {status for status, _ in stream.answers} == {200}
    assert stream.refused > 0


def test_an_idle_connection_may_still_bring_its_last_request(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule()))
    with house.door.connect() as connection, house.door.connect() as silent:
        reader = Reader(connection)
        connection.sendall(check_bytes(key))
        assert "connection" not in reader.response().headers
        house.door.terminate()
        time.sleep(0.3)
        connection.sendall(check_bytes(key))
        answer = reader.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert reader.at_end()
        assert Reader(silent).at_end()
    house.door.process.wait(timeout=10)


def test_a_stopped_door_takes_its_heartbeat_along(start):
    house = start()
    wait_until(lambda: house.valkey.client.hlen(keys.DOORS) == 1)
    house.door.terminate()
    house.door.process.wait(timeout=10)
    assert house.valkey.client.hlen(keys.DOORS) == 0
