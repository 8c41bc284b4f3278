"""What doors that were long away bring of tenants who are gone is passed over, and nothing else."""

import pytest

from ratelimiter.events.schema import Group
from ratelimiter.events.spool import PARTITIONS
from ratelimiter.events.totals import Collapsed, Totals
from tests.analytics.rig import event, record, rows, sums
from tests.database import owner_connection

GONE, STAYS = 16, 16 + PARTITIONS  # of one partition


@pytest.fixture
def _gone(bus):
    with owner_connection() as owner:
        owner.execute("INSERT INTO analytics.erased (tenant_id) VALUES (%s)", [GONE])


def collapsed(*events):
    totals = Totals()
    totals.add(events)
    return Collapsed(len(events), list(totals.checks.items()), list(totals.rules.items()))


@pytest.mark.usefixtures("_gone")
def test_neither_rows_nor_totals_nor_identifiers_come_of_it(bus, counting):
    worker = counting()
    partition = GONE % PARTITIONS
    mixed = [event(tenant=GONE, user="u_gone"), event(tenant=STAYS, user="u_stays"), event(tenant=GONE, recorded=True)]
    bus.put_raw(record([Group(partition, 1, mixed)]), partition)
    sum_of = collapsed(event(tenant=GONE), event(tenant=STAYS))
    bus.put_raw(record([Group(partition, 4, [], collapsed=sum_of)]), partition)
    worker.all()
    assert sums(worker.connection, "check_minute")[0] == 2
    for table in ("event", "check_minute", "rule_hour", "identifier", "event_once"):
        assert {tenant for (tenant,) in rows(worker.connection, f"SELECT tenant_id FROM analytics.{table}")} <= {STAYS}
    assert rows(worker.connection, "SELECT last_seq FROM analytics.ingest_source") == [(5,)]
    assert rows(worker.connection, "SELECT * FROM analytics.ingest_gap") == []
