"""Cutting the tables in time, and dropping what is due. For the owner's role.

Native range partitions are made ahead of time here; TimescaleDB makes its chunks itself and is only told what to drop
and, where its licence allows, to compress. The rest of the room cannot tell which of the two there is.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from apps.analytics.tables import TABLES, Span, Table, span_of, spans_between

LATE = timedelta(days=3)  # events that come this late still find the partition of their own minute
COMPRESS_AFTER = timedelta(days=2)


def rights_ensure() -> None:
    """The ingest's role may write every table of the schema, those that come later too, and own none."""
    role = sql.Identifier(settings.DATABASE_INGEST_ROLE)
    grants = "SELECT, INSERT, UPDATE, DELETE"
    with connection.cursor() as cursor:
        for statement in (
            sql.SQL("GRANT USAGE ON SCHEMA analytics, public TO {}"),
            sql.SQL(f"GRANT {grants} ON ALL TABLES IN SCHEMA analytics TO {{}}"),
            sql.SQL(f"ALTER DEFAULT PRIVILEGES IN SCHEMA analytics GRANT {grants} ON TABLES TO {{}}"),
        ):
            cursor.execute(statement.format(role))


def has_timescale() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
        return cursor.fetchone() is not None


def partitions_ensure(*, now: datetime, since: datetime | None = None) -> int:
    """Makes what will be written from `since`, or three days before `now`, until well after it; nothing that would be
    due to go already. Returns how many were made.
    """
    if has_timescale():
        return 0
    made = 0
    for table in TABLES:
        first = max(min(since or now, now - LATE), now - table.keep)
        for span in spans_between(table.width, first, now + table.ahead):
            made += _partition_ensure(table, span)
    return made


def expired_drop(*, now: datetime) -> list[str]:
    """Drops the partitions whose last row is older than its table keeps; returns their names."""
    if has_timescale():
        return _chunks_drop(now)
    dropped = []
    for table in TABLES:
        for name, span in _partitions(table):
            if span.ends_at + table.keep <= now:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '2s'")
                    cursor.execute(sql.SQL("DROP TABLE analytics.{}").format(sql.Identifier(name)))
                dropped.append(name)
    return dropped


def compression_ensure() -> bool:
    """Tells TimescaleDB to compress what nobody adds to any more. False where there is no such thing."""
    if not has_timescale():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('timescaledb.license', true)")
        if cursor.fetchone() != ("timescale",):
            return False  # under the Apache licence it does not compress
        for table in TABLES:
            after = max(COMPRESS_AFTER, LATE + timedelta(days=1))
            name = sql.Identifier("analytics", table.name)
            cursor.execute(
                sql.SQL(
                    "ALTER TABLE {} SET (timescaledb.compress, timescaledb.compress_segmentby = 'tenant_id')"
                ).format(name)
            )
            cursor.execute(
                "SELECT add_compression_policy(%s, %s::interval, if_not_exists => true)",
                [f"analytics.{table.name}", f"{after.days} days"],
            )
    return True


def _partition_ensure(table: Table, span: Span) -> bool:
    """A partition that another process makes at this moment is waited for."""
    name = f"{table.name}_{span.suffix}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"analytics.{name}"])
        if cursor.fetchone() != (None,):
            return False
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('analytics.partitions'))")
        cursor.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS analytics.{} PARTITION OF analytics.{} FOR VALUES FROM ({}) TO ({})"
            ).format(sql.Identifier(name), sql.Identifier(table.name), span.starts_at, span.ends_at)
        )
        if table.is_updated:
            # Rows of now are updated all the while; room on their page leaves indexes as they are.
            cursor.execute(sql.SQL("ALTER TABLE analytics.{} SET (fillfactor = 60)").format(sql.Identifier(name)))
    return True


def _partitions(table: Table) -> Iterable[tuple[str, Span]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass ORDER BY 1",
            [f"analytics.{table.name}"],
        )
        names = [name for (name,) in cursor.fetchall()]
    return [(name, span) for name in names if (span := span_of(name, table)) is not None]


def _chunks_drop(now: datetime) -> list[str]:
    dropped = []
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                "SELECT drop_chunks(%s, older_than => %s::timestamptz)", [f"analytics.{table.name}", now - table.keep]
            )
            dropped += [name for (name,) in cursor.fetchall()]
    return dropped
