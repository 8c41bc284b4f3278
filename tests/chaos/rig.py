"""The whole way of an event on real parts, each of which can be killed at any moment and comes back by itself."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import psycopg
import redis

from config.embedded import Parts
from ratelimiter.events.bus import BusError
from ratelimiter.events.buses import reader_make
from ratelimiter.events.spool import PARTITIONS
from tests.door.rig import HOST, PEPPERS, ROOT, Closed, DoorProcess, Keyring, Reader, check_bytes, rule, wait_until

BATCH = 100
TENANTS = 32
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


class Way:
    """`bus_new(parts)` gives what carries the events: an object with `url` and `kill()`, which comes back by itself."""

    def __init__(self, folder: Path, bus_new):
        folder.chmod(0o755)
        self.folder = folder
        self.kills = Counter()
        self.parts = Parts.start(folder, durable=True)
        self._closing = contextlib.ExitStack()
        self._closing.callback(self.parts.stop)
        try:
            self.bus = bus_new(self.parts)
            self._environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
            self._environment |= self.parts.environment() | {
                "EVENTS_URL": self.bus.url,
                "SECRET_KEY": "only-for-tests-" + "0" * 40,
                "KEY_PEPPERS": PEPPERS,
                "SPOOL_DIR": str(folder / "spool"),
                "DJANGO_SETTINGS_MODULE": "config.settings.dev",
                "LOG_FORMAT": "json",
            }
            self._manage("migrate_schemas", "--verbosity", "0")
            self._manage("analytics_ensure")
            self.parts.keep_alive()
            client = self._closing.enter_context(redis.Redis.from_url(self.parts.counters_url))
            self._counters = SimpleNamespace(url=self.parts.counters_url, client=client)
            keyring = Keyring(self._counters)
            self.keys = [keyring.key(keyring.tenant(rule(limit=500), rule(limit=10_000))) for _ in range(TENANTS)]
            self._door = self._door_new()
            self._closing.callback(self.door_stop)
            self.ship = self._process("ship", "-m", "ratelimiter.events.ship")
            self.ingest = self._process("ingest", "manage.py", "ingest")
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> int:
        return self._door.port

    def close(self):
        self._closing.close()

    def kill(self, what: str):
        self.kills[what] += 1
        if what == "door":
            self._door.kill()
            self._door = self._door_new()
        elif what == "bus":
            self.bus.kill()
        elif what == "postgres":
            part_kill(self.parts, "postgres")
        else:
            getattr(self, what).kill()

    def rows(self, query, *parameters):
        with psycopg.connect(self.parts.ingest_url, autocommit=True) as connection:
            return connection.execute(query, parameters).fetchall()

    def at_rest(self) -> bool:
        """Nothing is in the spool any more, and all doors have said farewell to ingest or are known to be dead."""
        segments = list((self.folder / "spool").glob("*.events"))
        return not segments and self._lag() == 0

    def _lag(self) -> int:
        """Records on the bus that nobody has counted, also those of partitions that nobody has read yet."""
        try:
            read = dict(self.rows("SELECT partition, position FROM analytics.consumer_offset"))
            positions = dict.fromkeys(range(PARTITIONS), "") | read
            reader = reader_make(self.bus.url)
        except (BusError, psycopg.OperationalError):
            return -1
        with contextlib.closing(reader):
            return sum(reader.lag(positions).values())

    def door_stop(self):
        self._door.stop()

    def _door_new(self) -> DoorProcess:
        return DoorProcess(self._counters, self.folder / "spool", workers=2)

    def _process(self, name: str, *command: str) -> "Immortal":
        process = Immortal(self.folder / f"{name}.log", command, self._environment)
        self._closing.callback(process.stop)
        return process

    def _manage(self, *command: str):
        subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
            env=self._environment | {"DATABASE_ROLE": "owner"},
        )  # fmt: skip


class Immortal:
    """A process that is started again whenever it ends."""

    def __init__(self, log: Path, command, environment):
        self._log, self._command, self._environment = log, command, environment
        self._stopping = threading.Event()
        self._start()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def kill(self):
        self._process.kill()

    def stop(self):
        self._stopping.set()
        self._thread.join()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def _keep(self):
        while not self._stopping.wait(0.1):
            if self._process.poll() is not None:
                self._start()


class Clients:
    """Threads that ask in batches and write down what was answered. What was cut off may have been counted or not."""

    def __init__(self, way: Way, *, threads: int = 3, pause_s: float = 0.0):
        self._way = way
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.answered: list[str] = []
        self.allowed = 0
        self.cut_off = 0
        self._threads = [threading.Thread(target=self._run, args=[number]) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int):
        chance = random.Random(number)
        while not self._stopping.is_set():
            try:
                with connected(self._way.port) as connection:
                    self._ask_on(connection, chance)
            except OSError:
                time.sleep(0.05)

    def _ask_on(self, connection, chance):
        reader = Reader(connection)
        while not self._stopping.wait(self._pause_s):
            key = chance.choice(self._way.keys)
            checks = [{"route": f"GET /{chance.randrange(50)}", "user": f"u{chance.randrange(500)}"}] * BATCH
            connection.sendall(check_bytes(key, path="/v1/check/batch", checks=checks))
            try:
                response = reader.response()
            except (Closed, OSError):
                with self._lock:
                    self.cut_off += BATCH
                raise
            assert response.status == 200, response
            results = json.loads(response.body)["results"]
            with self._lock:
                self.answered += [one["id"] for one in results]
                self.allowed += sum(one["allowed"] for one in results)


@contextlib.contextmanager
def connected(port):
    with socket.create_connection((HOST, port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def part_named(parts: Parts, name: str):
    [part] = [part for part in parts._parts if part.name == name]
    return part


def part_kill(parts: Parts, name: str):
    """`keep_alive` starts it again; one that is just being started is waited for."""
    part = part_named(parts, name)
    wait_until(lambda: part.running, what=f"{name}'s return")
    part.process.kill()
