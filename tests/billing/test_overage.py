"""Rows of overage sum up to the bill's, whatever comes late, and each is made once."""

import random
from datetime import timedelta

import psycopg
import pytest

from apps.billing.ledger import usage_correct, usage_post
from apps.billing.overage import LAST_SECOND, overage_make, untold
from apps.billing.rating import BilledPeriod, Terms, bill
from tests.billing.rows import H0, HOUR, NOW, count, late, settle

STARTUP = Terms("startup", "Startup", 4_900, 1_000, 5_000)
FREE = Terms("free", "Free", 0, 1_000, None)
BEFORE = BilledPeriod(H0 - 100 * HOUR, H0 + 2 * HOUR, H0 + 2 * HOUR, STARTUP)
AFTER = BilledPeriod(H0 + 2 * HOUR, NOW + 500 * HOUR, NOW + 500 * HOUR, STARTUP)


def period_end(tenant, hour):
    return next(period.ends_at for period in (BEFORE, AFTER) if hour < period.ends_at)


def turn(metering, *, now=NOW, periods=(BEFORE, AFTER)):
    usage_post(metering, now=now, period_end=period_end)
    return overage_make(metering, now=now, periods_of=lambda tenant: periods)


def said(metering):
    rows = metering.execute(
        "SELECT period_at, sum(units)::bigint FROM billing.overage GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return dict(rows)


def test_only_what_is_beyond_the_included_checks_is_told_and_once(metering):
    count(metering, 1, H0, 900)
    settle(metering, H0 + HOUR)
    assert turn(metering) == []
    count(metering, 1, H0 + HOUR, 300)
    settle(metering, H0 + 2 * HOUR)
    [row] = turn(metering)
    assert (row.units, row.at, row.identifier) == (
        200,
        H0 + HOUR + LAST_SECOND,
        f"1.checks.{BEFORE.starts_at:%Y%m%d%H}.0",
    )
    assert turn(metering) == []
    assert [one.identifier for one in untold(metering, [1], at_most=9)] == [row.identifier]


def test_a_correction_takes_units_back(metering):
    count(metering, 1, AFTER.starts_at, 1_500)
    settle(metering, AFTER.starts_at + HOUR)
    turn(metering)
    metering.execute("UPDATE analytics.check_hour SET billable = 1_200")
    usage_correct(metering, now=NOW, period_end=period_end)
    [row] = overage_make(metering, now=NOW, periods_of=lambda tenant: (BEFORE, AFTER))
    assert (row.units, row.seq) == (-300, 1)
    assert said(metering) == {AFTER.starts_at: 200}


def test_a_plan_without_overage_has_none(metering):
    count(metering, 1, H0, 5_000)
    settle(metering, H0 + HOUR)
    free = BilledPeriod(BEFORE.starts_at, BEFORE.ends_at, BEFORE.ends_at, FREE)
    assert turn(metering, periods=(free,)) == []


def test_whatever_comes_and_whenever_the_rows_sum_up_to_the_bills(metering):
    chance = random.Random(11)
    hours = [H0 + n * HOUR for n in range(7)]
    for place, hour in enumerate(hours):
        count(metering, 1, hour, chance.randrange(1, 900))
        for _ in range(chance.randrange(3)):
            late(metering, 1, chance.choice(hours[: place + 1]), chance.randrange(1, 300))
        settle(metering, hour + HOUR)
        if chance.random() < 0.7:
            turn(metering)
    turn(metering)
    for period in (BEFORE, AFTER):
        [(used,)] = metering.execute(
            "SELECT coalesce(sum(delta), 0)::bigint FROM billing.usage WHERE billing_hour >= %s AND billing_hour < %s",
            [period.starts_at, period.ends_at],
        ).fetchall()
        assert said(metering).get(period.starts_at, 0) == bill(period, used).overage
    counted = metering.execute("SELECT sum(billable)::bigint FROM analytics.check_hour").fetchall()
    posted = metering.execute("SELECT sum(delta)::bigint FROM billing.usage").fetchall()
    assert counted == posted


def test_what_was_told_is_not_rewritten(metering):
    count(metering, 1, H0, 5_000)
    settle(metering, H0 + HOUR)
    turn(metering)
    for statement in ("UPDATE billing.overage SET units = 1", "DELETE FROM billing.overage"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            metering.execute(statement)
    metering.execute("UPDATE billing.overage SET told_at = now()")
    assert untold(metering, [1], at_most=9) == []


def test_a_kill_between_the_two_steps_is_made_good_by_the_next_turn(metering):
    count(metering, 1, H0, 1_700)
    settle(metering, H0 + HOUR)
    usage_post(metering, now=NOW, period_end=period_end)  # and then the worker is gone
    [row] = turn(metering, now=NOW + timedelta(minutes=3))
    assert row.units == 700
