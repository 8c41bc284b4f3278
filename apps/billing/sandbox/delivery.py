"""Webhooks: signed, at least once, in whatever order, again and again until somebody says 2xx.

What is to be delivered is written with the event, so it outlives the process. A row is taken away after the endpoint
said yes; killed in between, the event is sent a second time.
"""

import hashlib
import hmac
import json
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from apps.billing.sandbox.render import render
from apps.billing.sandbox.store import Session, Store

SENDERS = 4
TIMEOUT_S = 10
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 3_600.0
GIVE_UP_AFTER = 80  # about three days
PAUSE_S = 1.0
RETRY_LOOK_S = 0.2


@dataclass(frozen=True)
class Parcel:
    seq: int
    attempts: int
    url: str
    secret: str
    body: bytes


class Courier(threading.Thread):
    def __init__(self, store: Store) -> None:
        super().__init__(name="courier", daemon=True)
        self._store = store
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="sender")
        self._opener = urllib.request.build_opener(_NoRedirects())

    def run(self) -> None:
        while True:
            seen = self._store.version
            try:
                with self._store.begin() as tx:
                    parcels = _due(tx)
                list(self._pool.map(self._deliver, parcels))
            except Exception:  # noqa: BLE001 - deliveries go on whatever happened to one of them
                sys.stderr.write(traceback.format_exc())
                parcels = []
                time.sleep(PAUSE_S)
            if not parcels:
                self._store.wait(seen, RETRY_LOOK_S)

    def _deliver(self, parcel: Parcel) -> None:
        accepted = self._sent(parcel)
        with self._store.begin() as tx:
            if accepted or parcel.attempts + 1 >= GIVE_UP_AFTER:
                _done(tx, parcel.seq)
            else:
                pause = min(FIRST_PAUSE_S * 2**parcel.attempts, LONGEST_PAUSE_S)
                tx.connection.execute(
                    "UPDATE delivery SET attempts = attempts + 1, due_at = ? WHERE seq = ?",
                    (tx.real_now + pause, parcel.seq),
                )

    def _sent(self, parcel: Parcel) -> bool:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(parcel.secret, parcel.body, int(time.time())),
            "User-Agent": "Stripe/1.0 (stand-in)",
        }
        request = urllib.request.Request(parcel.url, parcel.body, headers, method="POST")  # noqa: S310 - http(s) only
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                return 200 <= int(response.status) < 300
        except (urllib.error.URLError, OSError, HTTPException):
            return False


def signature(secret: str, body: bytes, at: int) -> str:
    """Stripe's scheme: `t=…,v1=hex(hmac_sha256(secret, "t.body"))`."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect is no yes."""


def _due(tx: Session) -> list[Parcel]:
    rows = tx.connection.execute(
        "SELECT seq, event, endpoint, attempts FROM delivery WHERE due_at <= ? ORDER BY due_at LIMIT ?",
        (tx.real_now, SENDERS * 8),
    ).fetchall()
    parcels = []
    for seq, event, endpoint, attempts in rows:
        found, point = tx.maybe(event, "event"), tx.maybe(endpoint, "webhook_endpoint")
        if found is None or point is None or point["status"] != "enabled":
            tx.connection.execute("DELETE FROM delivery WHERE seq = ?", (seq,))
            continue
        body = json.dumps(render(tx, found), indent=2).encode()
        parcels.append(Parcel(seq, attempts, point["url"], point["_secret"], body))
    return parcels


def _done(tx: Session, seq: int) -> None:
    row = tx.connection.execute("DELETE FROM delivery WHERE seq = ? RETURNING event", (seq,)).fetchone()
    event = tx.maybe(row[0], "event") if row else None
    if event:
        event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
        tx.save(event)
