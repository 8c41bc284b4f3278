"""The thread that lets time pass: timers of the real clock as they come due, of test clocks as they are advanced."""

import sys
import threading
import time
import traceback

from apps.billing.sandbox.answering import answers_forget
from apps.billing.sandbox.cycle import TIMERS
from apps.billing.sandbox.events import emit
from apps.billing.sandbox.store import Obj, Session, Store
from apps.billing.sandbox.testclocks import KIND

PAUSE_S = 1.0
FORGET_EVERY_S = 3_600
AT_ONCE = 50


class Ticker(threading.Thread):
    def __init__(self, store: Store) -> None:
        super().__init__(name="ticker", daemon=True)
        self._store = store
        self._forget_at = 0.0

    def run(self) -> None:
        while True:
            seen = self._store.version
            try:
                busy = self._round()
            except Exception:  # noqa: BLE001 - one object that cannot go on must not stop time for all others
                sys.stderr.write(traceback.format_exc())
                busy = False
                time.sleep(PAUSE_S)
            if not busy:
                self._store.wait(seen, PAUSE_S)

    def _round(self) -> bool:
        """Whether there may be more to do at once."""
        with self._store.begin() as tx:
            if tx.real_now >= self._forget_at:
                answers_forget(tx)
                self._forget_at = tx.real_now + FORGET_EVERY_S
            due = _due(tx, "", int(tx.real_now))
            for ident, what, _ in due:
                _go_off(tx, ident, what)
            advancing = [clock["id"] for clock in tx.find(KIND, status="advancing")]
        for clock in advancing:
            self._advance(clock)
        return bool(due or advancing)

    def _advance(self, ident: str) -> None:
        """One timer a transaction: whoever waits for an answer is not kept from it."""
        more = True
        while more:
            with self._store.begin() as tx:
                clock = tx.maybe(ident, KIND)
                more = bool(clock and _step(tx, clock))


def _step(tx: Session, clock: Obj) -> bool:
    due = _due(tx, clock["id"], clock["frozen_time"], most=1)
    if due:
        ident, what, at = due[0]
        clock["_now"] = max(clock["_now"], at)
        tx.save(clock)
        _go_off(tx, ident, what)
        return True
    clock |= {"_now": clock["frozen_time"], "status": "ready", "status_details": {}}
    tx.save(clock)
    emit(tx, "test_helpers.test_clock.ready", clock)
    return False


def _due(tx: Session, clock: str, at: int, *, most: int = AT_ONCE) -> list[tuple[str, str, int]]:
    return tx.connection.execute(
        "SELECT object, what, at FROM timer WHERE clock = ? AND at <= ? ORDER BY at, rowid LIMIT ?", (clock, at, most)
    ).fetchall()


def _go_off(tx: Session, ident: str, what: str) -> None:
    tx.connection.execute("DELETE FROM timer WHERE object = ? AND what = ?", (ident, what))
    item = tx.maybe(ident)
    if item and not item.get("deleted"):
        TIMERS[what](tx, item)
