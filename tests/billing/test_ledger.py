"""The ledger says what the rollups say, in rows that are never changed."""

from datetime import timedelta

import psycopg
import pytest

from apps.billing.ledger import GRACE, usage_correct, usage_post
from apps.billing.models import Posted, Usage
from apps.core.scope import tenant_scope
from tests.billing.rows import H0, HOUR, NOW, count, late, settle
from tests.database import owner_connection


def ledger(metering):
    return metering.execute(
        "SELECT tenant_id, usage_hour, seq, delta, billing_hour FROM billing.usage ORDER BY 1, 2, 3"
    ).fetchall()


def open_period(tenant, hour):
    return NOW + 100 * HOUR


def post(metering, *, now=NOW, period_end=open_period):
    return usage_post(metering, now=now, period_end=period_end)


def test_settled_hours_are_posted_once_and_no_others(metering):
    count(metering, 1, H0, 10)
    count(metering, 1, H0, 5, namespace="other")
    count(metering, 1, H0, 0, live=False)
    count(metering, 1, H0 + HOUR, 7)
    count(metering, 2, H0, 0)
    settle(metering, H0 + HOUR)
    assert (post(metering).rows, post(metering).rows) == (1, 0)
    assert ledger(metering) == [(1, H0, 0, 15, H0)]
    settle(metering, H0 + 2 * HOUR)
    assert post(metering).rows == 1
    assert ledger(metering)[1] == (1, H0 + HOUR, 0, 7, H0 + HOUR)


def test_late_usage_is_a_row_of_its_own_in_the_same_bill_while_that_is_open(metering):
    count(metering, 1, H0, 10)
    settle(metering, H0 + HOUR)
    post(metering)
    late(metering, 1, H0, 4)
    late(metering, 2, H0, 9)  # a tenant that had nothing in that hour
    assert post(metering).corrections == 2
    assert post(metering).corrections == 0
    assert ledger(metering) == [(1, H0, 0, 10, H0), (1, H0, 1, 4, H0), (2, H0, 0, 9, H0)]


def test_once_the_bill_is_final_late_usage_is_billed_when_it_is_found(metering):
    count(metering, 1, H0, 10)
    settle(metering, H0 + HOUR)
    post(metering)
    late(metering, 1, H0, 4)
    hour_now = NOW.replace(minute=0, second=0, microsecond=0)
    post(metering, period_end=lambda tenant, hour: NOW - GRACE)
    assert ledger(metering)[1] == (1, H0, 1, 4, hour_now)


def test_a_day_that_was_made_anew_is_corrected_in_either_direction(metering):
    count(metering, 1, H0, 10)
    settle(metering, H0 + HOUR)
    post(metering)
    metering.execute("UPDATE analytics.check_hour SET billable = 6")
    assert post(metering).corrections == 0  # nothing marks it
    assert usage_correct(metering, now=NOW, period_end=open_period) == 1
    assert usage_correct(metering, now=NOW, period_end=open_period) == 0
    metering.execute("DELETE FROM analytics.check_hour")
    assert usage_correct(metering, now=NOW, period_end=open_period) == 1
    assert [row[3] for row in ledger(metering)] == [10, -4, -6]


def test_a_late_hour_that_another_transaction_commits_late_is_not_missed(metering):
    count(metering, 1, H0, 10)
    settle(metering, H0 + HOUR)
    post(metering)
    late(metering, 1, H0, 4, found_at=NOW - timedelta(minutes=10))
    assert post(metering).corrections == 1


def test_what_fails_half_way_has_not_happened(metering):
    count(metering, 1, H0, 10)
    settle(metering, H0 + HOUR)
    post(metering)
    count(metering, 1, H0 + HOUR, 3)
    settle(metering, H0 + 2 * HOUR)
    late(metering, 1, H0, 4)

    def fails(tenant, hour):
        raise RuntimeError("killed here")

    before = ledger(metering)
    with pytest.raises(RuntimeError):
        post(metering, period_end=fails)
    assert ledger(metering) == before
    post(metering)
    assert [row[3] for row in ledger(metering)] == [10, 4, 3]


def test_nobody_rewrites_the_ledger(metering):
    count(metering, 1, H0, 10)
    settle(metering, H0 + HOUR)
    post(metering)
    for statement in ("UPDATE billing.usage SET delta = 1", "DELETE FROM billing.usage", "TRUNCATE billing.usage"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            metering.execute(statement)


def test_a_tenant_sees_its_own_rows_only(metering, alice, bob):
    for member in (alice, bob):
        count(metering, member.tenant_id, H0, 10)
    settle(metering, H0 + HOUR)
    post(metering)
    with tenant_scope(alice.tenant_id):
        assert [row.tenant_id for row in Usage.objects.all()] == [alice.tenant_id]
    assert Posted.objects.get().until == H0 + HOUR
    with owner_connection() as owner:
        assert owner.execute("SELECT count(*) FROM billing.usage").fetchone() == (2,)
