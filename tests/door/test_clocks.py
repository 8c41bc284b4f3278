"""A door's own clocks decide nothing: Redis' does. Here they jump under a door that runs in this process."""

import asyncio
import gc
import itertools
import json
import sys
import time
from contextlib import asynccontextmanager

import pytest
import uvloop

from ratelimiter.door.settings import DoorSettings
from ratelimiter.door.wiring import Door
from ratelimiter.engine.rules import Algorithm
from tests.door.rig import HOST, PEPPERS, Keyring, Valkey, check_bytes, rule

HOUR_NS = 3_600_000_000_000
# An hour is half of a window: a clock that counted would move every counter. Of the two, the one that ends later.
WINDOW_MS = max((7_200_000, 7_300_000), key=lambda window_ms: window_ms - time.time_ns() // 1_000_000 % window_ms)
STEPS = 10
ALGORITHMS = [Algorithm.SLIDING_WINDOW, Algorithm.FIXED_WINDOW, Algorithm.TOKEN_BUCKET]


class Clocks:
    """What the product sees as the module `time`. The event loop's timers are not touched."""

    def __init__(self):
        self.wall_ns = self.monotonic_ns_ahead = 0

    def time_ns(self):
        return time.time_ns() + self.wall_ns

    def time(self):
        return self.time_ns() / 1e9

    def monotonic_ns(self):
        return time.monotonic_ns() + self.monotonic_ns_ahead

    def monotonic(self):
        return self.monotonic_ns() / 1e9

    def perf_counter_ns(self):
        return time.perf_counter_ns() + self.monotonic_ns_ahead


@pytest.fixture
def clocks(monkeypatch):
    clocks = Clocks()
    readers = [
        module
        for name, module in sys.modules.items()
        if name.startswith("ratelimiter.") and getattr(module, "time", None) is time
    ]
    assert {"ratelimiter.engine.clock", "ratelimiter.door.service"} <= {module.__name__ for module in readers}
    for module in readers:
        monkeypatch.setattr(module, "time", clocks)
    return clocks


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    valkey = Valkey(tmp_path_factory.mktemp("clocks"))
    yield valkey
    valkey.mortality_verify()
    valkey.stop()


@pytest.fixture(scope="module")
def keyring(valkey):
    return Keyring(valkey)


@asynccontextmanager
async def opened(valkey, folder):
    """A door in this event loop; yields its port."""
    loop = asyncio.get_running_loop()
    door = Door(loop, DoorSettings(counters_url=valkey.url, key_peppers=PEPPERS, spool_dir=str(folder)))
    await door.start()
    server = await loop.create_server(door.connection, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await door.stop()
        gc.enable()
        gc.unfreeze()


async def asked(port, request):
    """The decision, over a connection of its own: what a jump does to idle connections is another matter."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return json.loads(body)


def run(valkey, folder, play):
    async def whole():
        async with opened(valkey, folder) as port:
            return await play(port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(whole())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS], ids=["forward", "back"])
def test_a_wall_clock_that_jumps_an_hour_changes_no_decision(valkey, keyring, clocks, tmp_path, algorithm, jump_ns):
    async def play(port):
        for _ in range(10):
            decisions = []
            key = keyring.key(keyring.tenant(rule(limit=STEPS, window_ms=WINDOW_MS, algorithm=algorithm)))
            for step in range(STEPS + 2):
                clocks.wall_ns = jump_ns if step % 2 else 0
                decisions.append(await asked(port, check_bytes(key)))
            if not any(decision["degraded"] for decision in decisions):
                break  # else this machine was too busy to reach Redis in time
        return decisions

    decisions = run(valkey, tmp_path, play)
    assert not any(decision["degraded"] for decision in decisions)
    assert [decision["allowed"] for decision in decisions] == [True] * STEPS + [False] * 2
    assert [decision["remaining"] for decision in decisions] == [*range(STEPS - 1, -1, -1), 0, 0]
    assert_waits_even(decisions[:STEPS], algorithm)
    assert_waits_even(decisions[STEPS:], algorithm)


def assert_waits_even(decisions, algorithm):
    """From check to check a wait moves by what a check costs and the moments between them, not by an hour."""
    a_unit_ms = WINDOW_MS // STEPS if algorithm is Algorithm.TOKEN_BUCKET and decisions[0]["allowed"] else 0
    waits = [decision["reset_ms"] for decision in decisions]
    for before, after in itertools.pairwise(waits):
        assert abs(after - before - a_unit_ms) < 10_000


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS], ids=["forward", "back"])
def test_a_monotonic_clock_that_jumps_degrades_for_a_moment_at_most(valkey, keyring, clocks, tmp_path, jump_ns):
    """No kernel lets it jump; Redis' clock, which is reckoned from it, may. One call's deadline may be wrong, and what
    is degraded says so, and is not counted.
    """
    key = keyring.key(keyring.tenant(rule(limit=1_000, window_ms=WINDOW_MS)))

    async def play(port):
        decisions = [await asked(port, check_bytes(key)) for _ in range(STEPS)]
        clocks.monotonic_ns_ahead = jump_ns
        deadline_s = time.monotonic() + 5
        while len(decisions) < 2 * STEPS and time.monotonic() < deadline_s:
            decision = await asked(port, check_bytes(key))
            if decision["degraded"]:
                await asyncio.sleep(0.01)
            else:
                decisions.append(decision)
        return decisions

    decisions = run(valkey, tmp_path, play)
    assert [decision["remaining"] for decision in decisions] == list(range(999, 999 - 2 * STEPS, -1))
