"""What this room holds of a tenant."""

from django.db import connection

from apps.analytics.ingest.topics import dead_letters_kept, topic_kept
from apps.analytics.tables import TABLE, TABLES
from apps.tenants.privacy.holdings import (
    Elsewhere,
    Holding,
    Retention,
    When,
    elsewhere_declare,
    holdings_declare,
    retentions_declare,
)


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
    retentions_declare(
        Retention("Checks", "Single checks, with digests of identifiers", TABLE["event"].keep),
        Retention("Checks", "Totals by minute", TABLE["check_minute"].keep),
        Retention("Checks", "Totals by hour, of rules, routes, keys, users and addresses", TABLE["check_hour"].keep),
        Retention("Checks", "Totals by day", TABLE["check_day"].keep),
        Retention(
            "Checks", "The text of identifiers", until="as long as the organisation exists, or until pseudonyms are on"
        ),
        Retention("Checks", "Events on their way to us, in topics", topic_kept()),
        Retention("Checks", "Events that could not be counted", dead_letters_kept()),
        Retention("Checks", "Deploy markers", until="as long as the organisation exists"),
    )
    elsewhere_declare(Elsewhere("events that are still on their way", When.BEFORE, late_events_refuse))


def late_events_refuse(tenant_id: int) -> None:
    """Ingest passes over what the spool of a machine that was long away brings. With the owner's role."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO analytics.erased (tenant_id) VALUES (%s) ON CONFLICT DO NOTHING", [tenant_id])
