"""What Stripe is told is what the ledger says, whoever is killed in between. Stripe's stand-in is a process apart."""

import itertools
import multiprocessing
import os
import random
import time
from contextlib import closing
from datetime import timedelta

import pytest

from apps.analytics.ingest.database import connect
from apps.billing.gateways.errors import StripeUnknown
from apps.billing.gateways.stripe import StripeGateway
from apps.billing.ledger import usage_post
from apps.billing.overage import overage_make, untold
from apps.billing.rating import BilledPeriod, Terms
from apps.billing.telling import overage_tell
from tests.billing.rows import H0, HOUR, NOW, count, late, settle
from tests.billing.sandbox.rig import KEY

TENANTS = itertools.count(1)
KILLS = int(os.environ.get("BILLING_KILLS", "30"))
TERMS = Terms("startup", "Startup", 4_900, 1_000, 5_000)
PERIOD = BilledPeriod(H0 - 100 * HOUR, NOW + 500 * HOUR, NOW + 500 * HOUR, TERMS)
SINCE, UNTIL = H0 - 24 * HOUR, H0 + 24 * HOUR


@pytest.fixture
def gateway(stand_in):
    return StripeGateway(secret_key=KEY, api_base=stand_in.url)


@pytest.fixture
def customers(gateway):
    """Tenant → customer; new tenants for every test, as the stand-in remembers what it was told in others."""
    gateway.meter_ensure()
    return {
        tenant: gateway.customer_create(tenant_id=tenant, name=f"Tenant {tenant}", email="a@example.com")
        for tenant in itertools.islice(TENANTS, 3)
    }


@pytest.fixture
def one(customers):
    return min(customers)


def turn(metering, gateway, customers, *, now=NOW):
    usage_post(metering, now=now, period_end=lambda tenant, hour: PERIOD.ends_at)
    overage_make(metering, now=now, periods_of=lambda tenant: [PERIOD])
    return overage_tell(metering, gateway, customers=customers, now=now)


def said(metering, tenant):
    [(units,)] = metering.execute(
        "SELECT coalesce(sum(units), 0)::bigint FROM billing.overage WHERE tenant_id = %s", [tenant]
    ).fetchall()
    return units


def heard(gateway, customer):
    return gateway.usage_told(customer=customer, meter=gateway.meter_ensure(), since=SINCE, until=UNTIL)


def heard_soon(gateway, customer, units):
    deadline = time.monotonic() + 10
    while heard(gateway, customer) != units:
        assert time.monotonic() < deadline, (heard(gateway, customer), units)
        time.sleep(0.05)


def test_stripe_hears_of_overage_once(metering, gateway, customers, one):
    count(metering, one, H0, 1_500)
    settle(metering, H0 + HOUR)
    assert turn(metering, gateway, customers).told == 1
    late(metering, one, H0, 50)
    assert turn(metering, gateway, customers).told == 1
    assert turn(metering, gateway, customers).told == 0
    heard_soon(gateway, customers[one], 550)


def test_a_tenant_without_an_account_waits_and_holds_up_nobody(metering, gateway, customers):
    first, second, _ = customers
    count(metering, first, H0, 1_500)
    count(metering, second, H0, 1_700)
    settle(metering, H0 + HOUR)
    assert turn(metering, gateway, {second: customers[second]}).told == 1
    assert turn(metering, gateway, customers).told == 1
    heard_soon(gateway, customers[first], 500)


def test_what_was_told_and_not_marked_counts_once(metering, gateway, customers, one):
    count(metering, one, H0, 1_500)
    settle(metering, H0 + HOUR)
    turn(metering, gateway, customers)
    metering.execute("UPDATE billing.overage SET told_at = NULL")
    assert turn(metering, gateway, customers).told == 1
    heard_soon(gateway, customers[one], 500)


@pytest.mark.parametrize("arrived", [True, False])
def test_after_a_day_stripe_is_asked_what_it_has_before_it_is_told_again(metering, gateway, customers, one, arrived):
    """As if it had forgotten the identifier: the row is renamed, so that only the comparison can tell."""
    count(metering, one, H0, 1_500)
    settle(metering, H0 + HOUR)
    usage_post(metering, now=NOW, period_end=lambda tenant, hour: PERIOD.ends_at)
    [row] = overage_make(metering, now=NOW, periods_of=lambda tenant: [PERIOD])
    if arrived:
        gateway.usage_tell(
            customer=customers[one], units=row.units, at=row.at, identifier=f"forgotten-{customers[one]}"
        )
        heard_soon(gateway, customers[one], 500)
    metering.execute("UPDATE billing.overage SET tried_at = %s", [NOW - timedelta(hours=21)])
    assert overage_tell(metering, gateway, customers=customers, now=NOW).told == 1
    heard_soon(gateway, customers[one], 500)


def test_what_is_too_old_for_a_meter_is_left_to_people(metering, gateway, customers, one):
    count(metering, one, H0, 1_500)
    settle(metering, H0 + HOUR)
    done = turn(metering, gateway, customers, now=NOW)
    assert done.told == 1
    late(metering, one, H0, 9)
    usage_post(metering, now=NOW, period_end=lambda tenant, hour: PERIOD.ends_at)
    overage_make(metering, now=NOW, periods_of=lambda tenant: [PERIOD])
    assert overage_tell(metering, gateway, customers=customers, now=NOW + timedelta(days=36)).refused == 1
    [(reason,)] = metering.execute("SELECT refused FROM billing.overage WHERE refused IS NOT NULL").fetchall()
    assert "too old" in reason


def test_while_stripe_is_away_rows_wait(metering, stand_in, gateway, customers, one):
    count(metering, one, H0, 1_500)
    settle(metering, H0 + HOUR)
    stand_in.kill()
    assert turn(metering, gateway, customers).waiting == 1
    with pytest.raises(StripeUnknown):
        gateway.meter_ensure()
    stand_in.start()
    assert turn(metering, gateway, customers).told == 1
    heard_soon(gateway, customers[one], 500)


def work(url, customers):
    """What the worker does, again and again, until it is killed."""
    gateway = StripeGateway(secret_key=KEY, api_base=url)
    while True:
        with closing(connect()) as connection:
            turn(connection, gateway, customers)


def test_killed_between_any_two_steps_nothing_is_told_twice_or_not_at_all(metering, stand_in, gateway, customers):
    chance = random.Random(5)
    hours = [H0 + n * HOUR for n in range(6)]
    forked = multiprocessing.get_context("fork")
    for number in range(KILLS):
        hour = hours[number * len(hours) // KILLS]
        for tenant in customers:
            late(metering, tenant, hour, chance.randrange(100, 900))
        settle(metering, hour + HOUR)
        worker = forked.Process(target=work, args=[stand_in.url, customers])
        worker.start()
        time.sleep(chance.uniform(0.02, 0.35))
        if number % 5 == 4:
            stand_in.kill()
        worker.kill()
        worker.join()
        if number % 5 == 4:
            stand_in.start()
        for tenant, customer in customers.items():
            assert heard(gateway, customer) <= said(metering, tenant)
    turn(metering, gateway, customers)
    while untold(metering, list(customers), at_most=1):  # PostgreSQL may take a moment to see that the last one is dead
        turn(metering, gateway, customers)
    for tenant, customer in customers.items():
        [(billable,)] = metering.execute(
            "SELECT sum(billable)::bigint FROM analytics.check_hour WHERE tenant_id = %s", [tenant]
        ).fetchall()
        assert said(metering, tenant) == billable - TERMS.included > 0
        heard_soon(gateway, customer, billable - TERMS.included)
