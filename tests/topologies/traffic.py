"""Light load that remembers every answer."""

import threading
import time
from typing import NamedTuple

from tests.door.rig import Reader, check_bytes, wait_until


class Seen(NamedTuple):
    """`at` is when the check was sent, monotonic seconds."""

    at: float
    status: int
    body: dict

    @property
    def counted(self) -> bool:
        return self.status in (200, 429) and not self.body["degraded"]


class Traffic:
    """One client per key: checks one after the other, on one connection, with a pause."""

    def __init__(self, door, keys, *, pause_s=0.003, **members):
        self.seen = {key: [] for key in keys}
        self._door, self._pause_s, self._members = door, pause_s, members
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(key,)) for key in keys]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def answers(self) -> list[Seen]:
        return [seen for answers in self.seen.values() for seen in answers]

    def wait_for(self, count):
        """More answers on every connection."""
        goals = {key: len(answers) + count for key, answers in self.seen.items()}
        wait_until(lambda: all(len(self.seen[key]) >= goal for key, goal in goals.items()), what="the answers")

    def _run(self, key):
        with self._door.connect() as connection:
            reader = Reader(connection)
            number = 0
            while not self._stopping.is_set():
                members = {name: make(number) for name, make in self._members.items()}
                at = time.monotonic()
                connection.sendall(check_bytes(key, **members))
                answer = reader.response()
                self.seen[key].append(Seen(at, answer.status, answer.json))
                number += 1
                time.sleep(self._pause_s)


STALLED = {"Redis did not answer in time", "the call reached the store after its deadline"}


def assert_counted(door, answers, *, expected=frozenset(), torn=0):
    """Every check was counted, but for those that a stall of this machine degraded: 50 ms are soon gone on a busy one,
    and the door's log tells that apart from whatever else may degrade a check. `expected` are other checks' reasons;
    `torn` is how often a node said TRYAGAIN, which is waited for, but not for long.
    """
    lines = door.log.read_text().splitlines()
    reasons = {line.partition("checks degrade: ")[2] for line in lines if "checks degrade: " in line}
    degraded = sum(not seen.counted for seen in answers)
    assert reasons <= STALLED | expected, reasons
    assert degraded == 0 or reasons & STALLED or torn, degraded
    assert degraded <= len(answers) // 3, (degraded, len(answers))
