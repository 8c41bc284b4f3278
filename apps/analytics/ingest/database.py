"""The ingest's own connection, with the role that may write analytics. Django's is the application's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

Connection = psycopg.Connection[tuple[Any, ...]]

# Rows wait here between COPY and upsert; `grain` is the table's.
_STAGES = """
CREATE TEMP TABLE IF NOT EXISTS check_stage (
    grain text, tenant_id bigint, at timestamptz, namespace text, live boolean, allowed bigint, denied bigint,
    shadow_denied bigint, degraded bigint, billable bigint, cost bigint, latency bigint[]
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS rule_stage (
    grain text, tenant_id bigint, at timestamptz, rule_id bigint, allowed bigint, denied bigint, shadow_denied bigint,
    cost bigint
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS identifier_stage (tenant_id bigint, digest bigint, kind text, value text)
ON COMMIT DELETE ROWS;
"""


def connect() -> Connection:
    """Autocommit outside `transaction()`. Raises ImproperlyConfigured, psycopg.OperationalError."""
    if not settings.DATABASE_INGEST_URL:
        raise ImproperlyConfigured("DATABASE_INGEST_URL: needed by the workers of analytics")
    connection = psycopg.connect(
        settings.DATABASE_INGEST_URL, autocommit=True, application_name="ratelimiter-ingest", connect_timeout=5
    )
    connection.execute("SET timezone = 'UTC'")
    connection.execute("SET lock_timeout = '30s'")
    connection.execute(_STAGES)
    return connection


@contextmanager
def alone(connection: Connection, what: str) -> Iterator[bool]:
    """False where somebody else is doing it. Holds no rows and no transaction, so it may last as long as a network."""
    row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [what]).fetchone()
    assert row is not None
    try:
        yield bool(row[0])
    finally:
        if row[0]:
            connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", [what])
