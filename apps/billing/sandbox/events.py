"""Every change of state becomes an event, written in the same transaction, with one delivery for each endpoint."""

from collections.abc import Iterator
from contextlib import contextmanager

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.render import render
from apps.billing.sandbox.store import Obj, Session

API_VERSION = "2026-08-26.dahlia"


def emit(tx: Session, kind: str, item: Obj, *, previous: Obj | None = None) -> None:
    data = {"object": render(tx, item)} | ({"previous_attributes": previous} if previous else {})
    event = {
        "id": new_id("event"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now_of(tx, item),
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": dict(tx.request),
        "type": kind,
        "_about": item["id"],
    }
    endpoints = [point for point in tx.find("webhook_endpoint", status="enabled") if _wants(point, kind)]
    event["pending_webhooks"] = len(endpoints)
    tx.add(event)
    for endpoint in endpoints:
        tx.connection.execute(
            "INSERT INTO delivery (event, endpoint, attempts, due_at) VALUES (?, ?, 0, ?)",
            (event["id"], endpoint["id"], tx.real_now),
        )


@contextmanager
def updating(tx: Session, item: Obj, kind: str) -> Iterator[Obj]:
    """Saves what the block changed and, where that can be seen from outside, emits the event with what was before."""
    before = render(tx, item)
    yield item
    tx.save(item)
    after = render(tx, item)
    previous = {name: before.get(name) for name in after if before.get(name) != after[name]}
    if previous:
        emit(tx, kind, item, previous=previous)


def _wants(endpoint: Obj, kind: str) -> bool:
    return any(name in ("*", kind) for name in endpoint["enabled_events"])
