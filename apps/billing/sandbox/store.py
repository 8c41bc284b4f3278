"""One SQLite file holds everything: objects, timers, meter events, deliveries, idempotent answers.

A request, or a step of a clock, is one transaction, and it is answered after its commit. So a process killed at any
point leaves what was answered, and at most one step that nobody was told of; nothing half done. One process writes:
transactions take turns under a lock.
"""

import fcntl
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apps.billing.sandbox.errors import missing
from apps.billing.sandbox.settings import Refused, Settings

Obj = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    customer TEXT, subscription TEXT, invoice TEXT, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS object_kind ON object (kind, seq);
CREATE INDEX IF NOT EXISTS object_customer ON object (customer, kind, seq) WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS object_subscription ON object (subscription, kind, seq) WHERE subscription IS NOT NULL;
CREATE INDEX IF NOT EXISTS object_invoice ON object (invoice, kind, seq) WHERE invoice IS NOT NULL;
CREATE TABLE IF NOT EXISTS timer (
    object TEXT NOT NULL, what TEXT NOT NULL, at INTEGER NOT NULL, clock TEXT NOT NULL, PRIMARY KEY (object, what)
);
CREATE INDEX IF NOT EXISTS timer_at ON timer (clock, at);
CREATE TABLE IF NOT EXISTS usage (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, meter TEXT NOT NULL, identifier TEXT NOT NULL, customer TEXT NOT NULL,
    at INTEGER NOT NULL, value INTEGER NOT NULL, visible_at REAL NOT NULL, received_at INTEGER NOT NULL,
    canceled INTEGER NOT NULL DEFAULT 0, UNIQUE (meter, identifier)
);
CREATE INDEX IF NOT EXISTS usage_at ON usage (customer, meter, at);
CREATE TABLE IF NOT EXISTS delivery (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL, attempts INTEGER NOT NULL,
    due_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (due_at);
CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event);
CREATE TABLE IF NOT EXISTS answer (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL, at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
COLUMNS = ("customer", "subscription", "invoice")


class Store:
    """`version` counts commits; the threads that deliver and that watch clocks wait for the next."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.url
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = Path(f"{path}.lock").open("w")  # noqa: SIM115 - held as long as the process lives
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"Another process uses {path}.") from None
        self._turn = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SCHEMA)
        self.version = 0
        self._changed = threading.Condition()

    @contextmanager
    def begin(self) -> Iterator["Session"]:
        """One transaction; an exception rolls it back."""
        with self._turn:
            self._connection.execute("BEGIN IMMEDIATE")
            before = self._connection.total_changes
            try:
                yield Session(self._connection, now=time.time(), settings=self.settings, url=self.url)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            wrote = self._connection.total_changes != before
        if wrote:
            with self._changed:
                self.version += 1
                self._changed.notify_all()

    def wait(self, seen: int, timeout_s: float) -> None:
        """Until there was a commit after the one that was seen, or the time is over."""
        with self._changed:
            if self.version == seen:
                self._changed.wait(timeout_s)

    def close(self) -> None:
        """The turn is kept: threads that still want to write wait until the process is gone."""
        self._turn.acquire()
        self._connection.close()
        self._file.close()


class Session:
    """Objects inside one transaction: the same id gives the same dict, written back by `save`.

    `url`: where this process is reached, for links to hosted pages. `pretend_at`: what time it is in a preview.
    """

    def __init__(self, connection: sqlite3.Connection, *, now: float, settings: Settings, url: str) -> None:
        self.connection = connection
        self.real_now = now
        self.settings = settings
        self.url = url
        self.pretend_at: int | None = None
        self.request: dict[str, str | None] = {"id": None, "idempotency_key": None}
        self._held: dict[str, Obj] = {}

    def maybe(self, ident: str | None, kind: str | None = None) -> Obj | None:
        if not ident:
            return None
        if ident not in self._held:
            row = self.connection.execute("SELECT data FROM object WHERE id = ?", (ident,)).fetchone()
            if not row:
                return None
            self._held[ident] = json.loads(row[0])
        found = self._held[ident]
        return found if kind is None or found["object"] == kind else None

    def get(self, ident: str, kind: str, *, param: str = "id") -> Obj:
        """Raises ApiError 404."""
        found = self.maybe(ident, kind)
        if found is None:
            raise missing(kind, ident, param=param)
        return found

    def add(self, item: Obj) -> Obj:
        self._held[item["id"]] = item
        self.connection.execute(
            "INSERT INTO object (id, kind, customer, subscription, invoice, data) VALUES (?, ?, ?, ?, ?, ?)",
            (item["id"], item["object"], *_columns(item), json.dumps(item, separators=(",", ":"))),
        )
        return item

    def save(self, item: Obj) -> None:
        self.connection.execute(
            "UPDATE object SET customer = ?, subscription = ?, invoice = ?, data = ? WHERE id = ?",
            (*_columns(item), json.dumps(item, separators=(",", ":")), item["id"]),
        )

    def remove(self, ident: str) -> None:
        self._held.pop(ident, None)
        self.connection.execute("DELETE FROM object WHERE id = ?", (ident,))
        self.connection.execute("DELETE FROM timer WHERE object = ?", (ident,))

    def find(self, kind: str, *, newest_first: bool = False, **equal: str | int | None) -> list[Obj]:
        """All of a kind whose fields are equal; None matches what is null or not there."""
        where, values = conditions(equal)
        order = "DESC" if newest_first else "ASC"
        rows = self.connection.execute(
            f"SELECT id, data FROM object WHERE kind = ?{where} ORDER BY seq {order}",  # noqa: S608 - names are ours
            (kind, *values),
        ).fetchall()
        return [self._held.setdefault(ident, json.loads(data)) for ident, data in rows]

    def timer_set(self, ident: str, what: str, at: int | None, clock: str | None) -> None:
        """One timer per object and purpose; None takes it away."""
        if at is None:
            self.connection.execute("DELETE FROM timer WHERE object = ? AND what = ?", (ident, what))
        else:
            self.connection.execute(
                "INSERT INTO timer (object, what, at, clock) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (object, what) DO UPDATE SET at = excluded.at, clock = excluded.clock",
                (ident, what, at, clock or ""),
            )

    def count(self, name: str) -> int:
        """1, 2, 3, … per name."""
        row = self.connection.execute(
            "INSERT INTO counter (name, value) VALUES (?, 1) "
            "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (name,),
        ).fetchone()
        return int(row[0])

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """An exception takes back what was written inside, and nothing else of the transaction."""
        self.connection.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            self._held.clear()
            self.connection.execute("ROLLBACK TO step")
            self.connection.execute("RELEASE step")
            raise
        self.connection.execute("RELEASE step")

    @contextmanager
    def discarded(self) -> Iterator[None]:
        """What is written inside is taken back at the end: a preview is the real thing, undone."""
        self.connection.execute("SAVEPOINT discarded")
        try:
            yield
        finally:
            self._held.clear()
            self.connection.execute("ROLLBACK TO discarded")
            self.connection.execute("RELEASE discarded")


def conditions(equal: dict[str, Any]) -> tuple[str, list[Any]]:
    """SQL and its values for fields that must be equal."""
    sql, values = "", []
    for name, value in equal.items():
        field = name if name in COLUMNS else f"json_extract(data, '$.{name.replace('__', '.')}')"
        if value is None:
            sql += f" AND {field} IS NULL"
        else:
            sql += f" AND {field} = ?"
            values.append(value)
    return sql, values


def _columns(item: Obj) -> list[Any]:
    """Objects whose owner is nested, or not shown, keep it under an underscore."""
    return [item.get(f"_{name}") or item.get(name) for name in COLUMNS]
