"""The path of TimescaleDB, by the assertions of the plain one: they run once more on the server that TIMESCALE_URL
names, postgresql:// with a role that may make roles and databases. Its template1 gets the extension.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import psycopg
import pytest

from apps.analytics import partitions
from apps.analytics.tables import TABLE
from config.embedded import roles_and_database_ensure
from tests.analytics.rig import event, rows
from tests.database import as_owner
from tests.door.rig import ROOT

URL = os.environ.get("TIMESCALE_URL", "")
IS_INSIDE = os.environ.get("ON_TIMESCALE") == "1"
PASSWORDS = dict.fromkeys(("rl_owner", "rl_app", "rl_ingest"), "only-for-tests")


@pytest.mark.skipif(not URL or IS_INSIDE, reason="TIMESCALE_URL names no server with TimescaleDB")
def test_everything_that_holds_on_plain_postgresql_holds_on_timescaledb():
    with psycopg.connect(URL, autocommit=True, dbname="template1") as template:
        template.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    roles_and_database_ensure(URL, PASSWORDS)
    address = urlsplit(URL)
    urls = {
        role: f"postgresql://{role}:{password}@{address.hostname}:{address.port or 5432}/ratelimiter"
        for role, password in PASSWORDS.items()
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/analytics", "-k", "not Retention and not browser"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {
            "ON_TIMESCALE": "1", "DATABASE_URL": urls["rl_app"], "DATABASE_OWNER_URL": urls["rl_owner"],
            "DATABASE_INGEST_URL": urls["rl_ingest"],
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5_000:]


@pytest.mark.skipif(not IS_INSIDE, reason="TIMESCALE_URL names no server with TimescaleDB")
def test_chunks_go_when_their_last_row_is_due_and_no_sooner(bus, counting):
    now = datetime.now(UTC)
    worker = counting()
    for days in (0, 2, 29):
        at_ms = int((now - timedelta(days=days)).timestamp() * 1_000)
        bus.put(event(at_ms=at_ms))
    worker.all()
    with as_owner():
        assert partitions.has_timescale()
        partitions.compression_ensure()
        partitions.expired_drop(now=now)
        assert rows(worker.connection, "SELECT count(*) FROM analytics.event") == [(3,)]
        later = now + TABLE["event"].keep - timedelta(days=20)
        assert partitions.expired_drop(now=later) != []
    kept = rows(worker.connection, "SELECT count(*) FROM analytics.event WHERE at < %s", later - TABLE["event"].keep)
    assert kept == [(0,)]
    assert rows(worker.connection, "SELECT count(*) FROM analytics.event") == [(2,)]
