"""What this room holds of a tenant."""

from django.db import connection

from apps.analytics.tables import TABLES
from apps.tenants.holdings import Elsewhere, Holding, When, elsewhere_declare, holdings_declare


def holdings_register() -> None:
    holdings_declare(
        *(Holding(table=f"analytics.{table.name}") for table in TABLES),
        Holding(
            table="analytics.erased",
            kept="so that what comes late is not counted; a number and a time",
            not_exported="who is gone",
        ),
        Holding(table="analytics.event_once", not_exported="ids of checks that may come twice, which events have, too"),
        Holding(table="analytics.identifier"),
        Holding(table="analytics.late_hour", not_exported="hours that were corrected; the hours themselves are there"),
        Holding(table="analytics.marker"),
        Holding(table="analytics.preference"),
    )
    elsewhere_declare(Elsewhere("events that are still on their way", When.BEFORE, late_events_refuse))


def late_events_refuse(tenant_id: int) -> None:
    """Ingest passes over what the spool of a machine that was long away brings. With the owner's role."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO analytics.erased (tenant_id) VALUES (%s) ON CONFLICT DO NOTHING", [tenant_id])
