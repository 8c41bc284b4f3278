"""What happens to a tenant's money, for whoever listens on the topic `billing-events`.

`happened` writes a row in the caller's transaction: what rolled back is never told, what is repeated is told once. The
relay takes rows to the bus in their order, and marks them when the bus has them; one that is killed in between sends
them again, under the same id.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from apps.analytics.ingest.database import Connection
from apps.billing.models import Happening
from ratelimiter.events.bus import BusError
from ratelimiter.events.buses import producer_make
from ratelimiter.events.spool import PARTITIONS
from ratelimiter.events.topics import BILLING

KEPT = timedelta(days=30)  # as long as the topic keeps them
FLUSH_S = 10.0

log = structlog.get_logger(__name__)


class Happened(StrEnum):
    USAGE_SETTLED = "usage.settled"
    THRESHOLD_CROSSED = "threshold.crossed"
    PLAN_CHANGED = "plan.changed"
    INVOICE_OPENED = "invoice.opened"
    INVOICE_PAID = "invoice.paid"
    INVOICE_FAILED = "invoice.failed"


def happened(tenant_id: int, kind: Happened, key: str, *, at: datetime, facts: Mapping[str, Any]) -> None:
    """`key` names the occasion. Facts are JSON: money in cents, moments as ISO 8601 in UTC."""
    Happening.objects.bulk_create(
        [Happening(tenant_id=tenant_id, kind=kind.value, key=key, at=at, facts=dict(facts))], ignore_conflicts=True
    )


def happenings_relay(*, now: datetime, at_most: int = 1_000) -> int:
    """Sends what is unsent, oldest first. Only one process at a time does; another one returns at once. Returns how
    many the bus has taken; 0 when it cannot be reached.
    """
    with transaction.atomic():
        unsent = Happening.objects.select_for_update(skip_locked=True).filter(sent_at__isnull=True).order_by("id")
        rows = list(unsent[:at_most])
        if not rows:
            return 0
        try:
            sent = _send(
                [
                    (row.id, row.tenant_id, _record(row.id, Happened(row.kind), row.tenant_id, row.at, row.facts))
                    for row in rows
                ]
            )
        except BusError as error:
            log.warning("happenings_wait", reason=str(error))
            return 0
        return Happening.objects.filter(id__in=sent).update(sent_at=now)


def usage_relay(connection: Connection, *, at_most: int = 5_000) -> int:
    """Sends the ledger's rows that were not sent yet, in their order. Returns how many; 0 when the bus cannot be
    reached.
    """
    with connection.transaction():
        row = connection.execute("SELECT relayed_number FROM billing.posted FOR UPDATE").fetchone()
        assert row is not None
        rows = connection.execute(
            "SELECT number, tenant_id, usage_hour, billing_hour, delta, posted_at FROM billing.usage"
            " WHERE number > %s ORDER BY number LIMIT %s",
            [row[0], at_most],
        ).fetchall()
        records = [
            (number, tenant_id, _record(number, Happened.USAGE_SETTLED, tenant_id, posted_at, {
                "usage_hour": usage_hour.isoformat(), "billing_hour": billing_hour.isoformat(), "checks": delta,
            }))
            for number, tenant_id, usage_hour, billing_hour, delta, posted_at in rows
        ]  # fmt: skip
        try:
            sent = set(_send(records))
        except BusError as error:
            log.warning("usage_waits", reason=str(error))
            return 0
        reached = row[0]
        for number, _, _ in records:  # no further than the first that is missing
            if number not in sent:
                break
            reached = number
        connection.execute("UPDATE billing.posted SET relayed_number = %s", [reached])
    return len(sent)


def happenings_purge(*, now: datetime) -> int:
    return Happening.objects.filter(sent_at__lt=now - KEPT).delete()[0]


def _send(records: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """Of (number, tenant, record) the numbers of those that the bus has. Raises BusError."""
    delivered: list[int] = []
    if not records:
        return delivered
    with closing(producer_make(settings.EVENTS_URL, BILLING)) as producer:
        for number, tenant_id, record in records:

            def done(error: Exception | None, number: int = number) -> None:
                if error is None:
                    delivered.append(number)

            producer.send(tenant_id % PARTITIONS, record, done)
        producer.flush(FLUSH_S)
    return delivered


def _record(number: int, kind: Happened, tenant_id: int, at: datetime, facts: Mapping[str, Any]) -> bytes:
    """`id` is the same however often it is sent."""
    said = {
        "id": f"{kind.value}-{number}", "kind": kind.value, "tenant": tenant_id, "at": at.isoformat(), "facts": facts,
    }  # fmt: skip
    return json.dumps(said, separators=(",", ":")).encode()
