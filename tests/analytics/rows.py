"""Rows of analytics as ingest would have left them, written with its role."""

from contextlib import contextmanager
from datetime import timedelta

from psycopg.types.json import Jsonb

from apps.analytics.ingest.database import connect
from apps.analytics.ingest.identifiers import identifier_digest
from apps.analytics.tables import TABLE
from ratelimiter.engine.applied import outcome_code
from ratelimiter.events.totals import LATENCY_BUCKETS, latency_bucket

PASSED, DENIED, SHADOW_DENIED = 0, 1, 2


def latency(**counts):
    """`latency(us500=3)`: three checks of 500 µs."""
    buckets = [0] * LATENCY_BUCKETS
    for name, count in counts.items():
        buckets[latency_bucket(int(name.removeprefix("us")))] += count
    return buckets


@contextmanager
def ingesting():
    """A connection with ingest's role, which commits; what it has written is gone afterwards.

    It deletes, because truncating would wait for the test's own transaction.
    """
    with connect() as connection:
        try:
            yield connection
        finally:
            for table in (*TABLE, "identifier", "late_hour"):
                connection.execute(f"DELETE FROM analytics.{table}")


class Rows:
    """Writes for one tenant. `at` is rounded down to the grain."""

    def __init__(self, ingest, tenant_id):
        self._ingest, self.tenant_id = ingest, tenant_id
        self._salt = bytes(ingest.execute("SELECT salt FROM analytics.secret").fetchone()[0])

    def checks(
        self, grain, at, *, allowed=0, denied=0, shadow=0, degraded=0, billable=None, namespace="default", live=True,
        us=500,
    ):  # fmt: skip
        if billable is None:
            billable = allowed if live else 0
        self._ingest.execute(
            f"INSERT INTO analytics.check_{grain}"
            " VALUES (%s, date_trunc(%s, %s::timestamptz, 'UTC'), %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self.tenant_id, grain, at, namespace, live, allowed, denied, shadow, degraded, billable, allowed,
                latency(**{f"us{us}": allowed + denied}),
            ],
        )  # fmt: skip

    def everywhere(self, at, **counts):
        for grain in ("minute", "hour", "day"):
            self.checks(grain, at, **counts)

    def rule(self, grain, at, rule_id, *, allowed=0, denied=0, shadow=0):
        self._ingest.execute(
            f"INSERT INTO analytics.rule_{grain}"
            " VALUES (%s, date_trunc(%s, %s::timestamptz, 'UTC'), %s, %s, %s, %s, %s)",
            [self.tenant_id, grain, at, rule_id, allowed, denied, shadow, allowed],
        )

    def dimension(self, at, dimension, value, *, allowed=0, denied=0):
        digest = value if isinstance(value, int) else self.identifier(dimension, value)
        self._ingest.execute(
            "INSERT INTO analytics.dim_hour VALUES (%s, date_trunc('hour', %s::timestamptz), %s, %s, %s, %s, %s)",
            [self.tenant_id, at, dimension, digest, allowed, denied, allowed],
        )
        return digest

    def offender(self, at, rule_id, dimension, value, *, denied=0, shadow=0):
        self._ingest.execute(
            "INSERT INTO analytics.offender_hour VALUES (%s, date_trunc('hour', %s::timestamptz), %s, %s, %s, %s, %s)",
            [self.tenant_id, at, rule_id, dimension, self.identifier(dimension, value), denied, shadow],
        )

    def identifier(self, kind, value, *, is_readable=True):
        digest = identifier_digest(self._salt, self.tenant_id, kind, value)
        if is_readable:
            self._ingest.execute(
                "INSERT INTO analytics.identifier VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [self.tenant_id, digest, kind, value],
            )
        return digest

    def event(
        self, at, name, *, allowed=True, degraded=False, route=None, user=None, ip=None, key_id=1, results=(), weight=1,
        namespace="default", reason=None, readable=True, attributes=None,
    ):  # fmt: skip
        """`results` are (rule id, outcome)."""
        digests = [
            None if value is None else self.identifier(kind, value, is_readable=readable)
            for kind, value in (("ip", ip), ("route", route), ("user", user))
        ]
        held = {key: self.identifier(f"attribute:{key}", value) for key, value in (attributes or {}).items()}
        self._ingest.execute(
            "INSERT INTO analytics.event"
            " VALUES (%s, %s, %s, %s, true, 'consume', %s, %s, %s, 1, 420, %s, %s, %s, %s, %s, %s, %s)",
            [
                self.tenant_id, at, name, key_id, allowed, degraded, reason or ("ok" if allowed else "limit_exceeded"),
                namespace, weight, *digests, Jsonb(held) if held else None,
                [outcome_code(rule_id, outcome) for rule_id, outcome in results],
            ],
        )  # fmt: skip


def hour_of(at):
    return at.replace(minute=0, second=0, microsecond=0)


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
