"""The store alone: scripts by EVALSHA, pipelined by a client of our own, and what they cost Redis."""

import socket
import time
from collections.abc import Iterator
from itertools import cycle, islice

import hiredis

from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import encode, prepare
from ratelimiter.engine.scripts import check_script
from ratelimiter.store.connection import command_pack
from tests.bench import requests
from tests.bench.contenders.door import QUOTA, Door
from tests.bench.processes import cpu
from tests.bench.results import StoreRow
from tests.door.rig import HOST, Valkey

PIPELINE = 16  # calls in flight
VARIANTS = 32  # different calls, so that not all of them touch the same keys
EMPTY = b"return 0"


def measure(valkey: Valkey, *, seconds: float) -> list[StoreRow]:
    valkey.client.flushall()
    with socket.create_connection((HOST, valkey.port), timeout=10) as connection:
        client = _Client(connection)
        client.ask([command_pack("AUTH", "secret")])
        rows = [StoreRow("an empty script", 0, _call_us(client, valkey, [_empty(client)], seconds))]
        (sha,) = client.ask([command_pack("SCRIPT", "LOAD", check_script().body)])
        rows += [
            StoreRow(
                f"check script, {rules} rule{'s' * (rules > 1)}", checks,
                _call_us(client, valkey, list(_calls(sha, rules, checks)), seconds),
            )
            for rules in (1, 2)
            for checks in (1, 64)
        ]  # fmt: skip
    return rows


def _empty(client: "_Client") -> bytes:
    (sha,) = client.ask([command_pack("SCRIPT", "LOAD", EMPTY)])
    return command_pack("EVALSHA", sha, 1, "key")


def _calls(sha: bytes, rules: int, checks: int) -> Iterator[bytes]:
    """As the door sends them: one packed argument, and the quota of the tenant's plan beside the rules."""
    now_ms = int(time.time() * 1_000)
    rule_set = RuleSet(1, Door(rules=rules).published(), quota=QUOTA)
    numbers = iter(range(VARIANTS * checks))
    for _ in range(VARIANTS):
        batch = [
            prepare(
                rule_set, Check(**requests.check(number)), live=True, now_ms=now_ms, check_id=f"chk_{number:024x}"
            )
            for number in islice(numbers, checks)
        ]  # fmt: skip
        call = encode(batch, at_ms=now_ms)
        yield command_pack("EVALSHA", sha, len(call.keys), *call.keys, call.argument)


def _call_us(client: "_Client", valkey: Valkey, commands: list[bytes], seconds: float) -> float:
    asked = cycle(commands)
    client.ask(list(islice(asked, 2 * len(commands))))
    before, calls, end = cpu(valkey.process.pid), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        client.ask(list(islice(asked, PIPELINE)))
        calls += PIPELINE
    return cpu(valkey.process.pid).since(before, per=calls).total_us


class _Client:
    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._reader = hiredis.Reader()

    def ask(self, commands: list[bytes]) -> list[object]:
        """One write; as many replies. Raises hiredis.ReplyError."""
        self._connection.sendall(b"".join(commands))
        return [self._reply() for _ in commands]

    def _reply(self) -> object:
        while (reply := self._reader.gets()) is False:
            data = self._connection.recv(262_144)
            if not data:
                raise ConnectionError("Redis closed the connection")
            self._reader.feed(data)
        if isinstance(reply, Exception):
            raise reply
        return reply
