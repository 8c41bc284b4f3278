"""Overage on its way to Stripe: marked, told, marked as told, each step with a commit of its own.

A row that was told and not marked is told again under its identifier, which counts once for a day. One of unknown
outcome that is nearly as old as that is first compared with what Stripe has counted in its hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from apps.analytics.ingest.database import Connection, alone
from apps.billing.gateways.errors import StripeRefused, StripeUnknown
from apps.billing.gateways.stripe import OLDEST, StripeGateway
from apps.billing.overage import OverageRow, untold
from apps.billing.rating import HOUR
from apps.plans.periods import hour_of

REMEMBERED = timedelta(hours=20)  # an identifier is, for a day at least

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Telling:
    told: int = 0
    refused: int = 0
    waiting: int = 0


def overage_tell(
    connection: Connection, gateway: StripeGateway, *, customers: Mapping[int, str], now: datetime, at_most: int = 500
) -> Telling:
    """Tells what is untold of the tenants in `customers` (tenant → Stripe's customer), oldest first. Only one process
    at a time does; another one returns at once.
    """
    done = Telling()
    with alone(connection, "billing.telling") as is_mine:
        for row in untold(connection, sorted(customers), at_most=at_most) if is_mine else ():
            try:
                _row_tell(connection, gateway, row, customers[row.tenant_id], now)
            except StripeRefused as error:
                log.warning("overage_refused", tenant=row.tenant_id, units=row.units, reason=str(error))
                _mark(connection, row, "refused = %s", str(error))
                done.refused += 1
            except StripeUnknown as error:
                log.warning("overage_waits", tenant=row.tenant_id, reason=str(error))
                done.waiting += 1
                break  # the next one would fare no better
            else:
                _mark(connection, row, "told_at = now()")
                done.told += 1
    return done


def _row_tell(connection: Connection, gateway: StripeGateway, row: OverageRow, customer: str, now: datetime) -> None:
    """Returns once Stripe has it. Raises StripeRefused, StripeUnknown."""
    if row.at < now - OLDEST:
        raise StripeRefused("too old for a meter; it wants a line by hand")
    is_doubtful = row.tried_at is not None and row.tried_at < now - REMEMBERED
    if is_doubtful and _was_counted(connection, gateway, row, customer):
        return
    _mark(connection, row, "tried_at = now()")
    gateway.usage_tell(customer=customer, units=row.units, at=row.at, identifier=row.identifier)


def _was_counted(connection: Connection, gateway: StripeGateway, row: OverageRow, customer: str) -> bool:
    """Whether Stripe's sum of the row's hour has it beside the rows that are known to be told."""
    known = connection.execute(
        "SELECT coalesce(sum(units), 0)::bigint FROM billing.overage"
        " WHERE tenant_id = %s AND at = %s AND told_at IS NOT NULL",
        [row.tenant_id, row.at],
    ).fetchone()
    assert known is not None
    hour = hour_of(row.at)
    counted = gateway.usage_told(customer=customer, meter=gateway.meter_ensure(), since=hour, until=hour + HOUR)
    return counted == int(known[0]) + row.units


def _mark(connection: Connection, row: OverageRow, change: str, *values: str) -> None:
    connection.execute(
        f"UPDATE billing.overage SET {change} WHERE tenant_id = %s AND period_at = %s AND seq = %s",  # noqa: S608
        [*values, row.tenant_id, row.period_at, row.seq],
    )
