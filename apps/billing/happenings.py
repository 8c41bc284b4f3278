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
from functools import partial
from itertools import takewhile
from typing import Any

import structlog
from django.conf import settings

from apps.analytics.ingest.database import Connection, alone
from apps.billing.models import Happening
from ratelimiter.events.bus import BusError
from ratelimiter.events.buses import producer_make
from ratelimiter.events.spool import PARTITIONS
from ratelimiter.events.topics import BILLING

KEPT = timedelta(days=30)  # as long as the topic keeps them
FLUSH_S = 10.0
_RELAY = "billing.happenings"

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


def happenings_relay(connection: Connection, *, now: datetime, at_most: int = 1_000) -> int:
    """Sends what is unsent, oldest first. Only one process at a time does; another one returns at once. Returns how
    many the bus has taken; 0 when it cannot be reached.
    """
    with alone(connection, _RELAY) as is_mine:
        rows = list(Happening.objects.filter(sent_at__isnull=True).order_by("id")[:at_most]) if is_mine else []
        sent = _send(
            [
                (row.id, row.tenant_id, _record(row.id, Happened(row.kind), row.tenant_id, row.at, row.facts))
                for row in rows
            ]
        )
        return Happening.objects.filter(id__in=sent).update(sent_at=now) if sent else 0


def usage_relay(connection: Connection, *, at_most: int = 5_000) -> int:
    """Sends the ledger's rows that were not sent yet, in their order; alone, as above. Returns how many need not be
    sent again.
    """
    with alone(connection, _RELAY) as is_mine:
        rows = connection.execute(
            "SELECT number, tenant_id, usage_hour, billing_hour, delta, posted_at FROM billing.usage"
            " WHERE number > (SELECT relayed_number FROM billing.posted) ORDER BY number LIMIT %s",
            [at_most if is_mine else 0],
        ).fetchall()
        records = [
            (number, tenant_id, _record(number, Happened.USAGE_SETTLED, tenant_id, posted_at, {
                "usage_hour": usage_hour.isoformat(), "billing_hour": billing_hour.isoformat(), "checks": delta,
            }))
            for number, tenant_id, usage_hour, billing_hour, delta, posted_at in rows
        ]  # fmt: skip
        sent = set(_send(records))
        whole = list(
            takewhile(sent.__contains__, (number for number, _, _ in records))
        )  # up to the first that is missing
        if whole:
            connection.execute("UPDATE billing.posted SET relayed_number = %s", [whole[-1]])
    return len(whole)


def happenings_purge(*, now: datetime) -> int:
    return Happening.objects.filter(sent_at__lt=now - KEPT).delete()[0]


def _send(records: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """Of (number, tenant, record) the numbers of those that the bus has; none when it cannot be reached."""
    delivered: list[int] = []
    if not records:
        return delivered

    def done(number: int, error: Exception | None) -> None:
        if error is None:
            delivered.append(number)

    try:
        with closing(producer_make(settings.EVENTS_URL, BILLING)) as producer:
            for number, tenant_id, record in records:
                producer.send(tenant_id % PARTITIONS, record, partial(done, number))
            producer.flush(FLUSH_S)
    except BusError as error:
        log.warning("happenings_wait", reason=str(error))
    return delivered


def _record(number: int, kind: Happened, tenant_id: int, at: datetime, facts: Mapping[str, Any]) -> bytes:
    """`id` is the same however often it is sent."""
    said = {
        "id": f"{kind.value}-{number}", "kind": kind.value, "tenant": tenant_id, "at": at.isoformat(), "facts": facts,
    }  # fmt: skip
    return json.dumps(said, separators=(",", ":")).encode()
