"""A simulated year: every invoice is what an oracle says, to the cent; ledger, rollups, meter and bills agree."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from apps.analytics.partitions import partitions_ensure
from apps.billing.gateways.stripe import StripeGateway
from apps.billing.models import Settlement
from apps.billing.settling import SETTLED_AFTER
from apps.tenants.models import Tenant
from apps.tenants.services import tenant_create
from tests.billing.sandbox.rig import KEY, wait
from tests.billing.year.oracle import DAY, PLANS
from tests.billing.year.simulation import Simulation
from tests.database import as_owner

TENANTS = int(os.environ.get("YEAR_TENANTS", "6"))
DAYS = int(os.environ.get("YEAR_DAYS", "70"))
SEED = int(os.environ.get("YEAR_SEED", "7"))
SINCE = datetime(2025, 10, 1, 2, 30, tzinfo=UTC)


class Clock:
    now = SINCE

    def __call__(self):
        return self.now


def tenant_begun(slug):
    with transaction.atomic():
        tenant = tenant_create(name=slug, owner_id=None, slug=slug)
    Tenant.objects.filter(pk=tenant.id).update(created_at=SINCE)
    return tenant.id


@pytest.fixture
def year(stand_in, metering, monkeypatch, settings):
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    with as_owner():
        partitions_ensure(now=SINCE + timedelta(days=DAYS + 20), since=SINCE - 2 * DAY)
    made = Simulation(
        gateway=StripeGateway(secret_key=KEY, api_base=stand_in.url), stripe=stand_in.client, metering=metering,
        clock=clock, seed=SEED, since=SINCE,
    )  # fmt: skip
    for number in range(TENANTS):
        made.join(tenant_begun(f"year-{number}"))
    made.live(SINCE + timedelta(days=DAYS))
    return made


def test_every_cent_is_explained(year, metering):
    print(year.did)
    assert year.did["buy"]
    until = year.now - SETTLED_AFTER - DAY
    for tenant in year.tenants.values():
        expected = {one.begins: one.cents for one in tenant.life.sold(until)}
        settled = dict(Settlement.objects.filter(tenant_id=tenant.id).values_list("period_at", "billed_cents"))
        charged = year.gateway.charges.of(tenant.customer, since=SINCE)
        assert {at: settled.get(at) for at in expected} == expected
        credited = balance(year, tenant)
        assert {at: charged.cents.get(at, 0) + credited.get(at, 0) for at in expected} == expected
        known = {one.begins for one in tenant.life.periods}
        assert set(charged.cents) <= known
        units = sum(one.overage for one in tenant.life.periods)
        wait(lambda tenant=tenant, units=units: told(year, tenant) == units)  # sums lag behind by a moment
    assert sums(metering, "analytics.check_hour", "billable") == sums(metering, "billing.usage", "delta")
    assert sums(metering, "billing.usage", "delta") == {
        tenant.id: sum(one.used for one in tenant.life.periods) for tenant in year.tenants.values()
    }
    assert set(PLANS) == {one.plan for tenant in year.tenants.values() for one in tenant.life.periods}


def sums(metering, table, column):
    rows = metering.execute(f"SELECT tenant_id, sum({column})::bigint FROM {table} GROUP BY 1").fetchall()
    return dict(rows)


def balance(year, tenant):
    """What was given back beside invoices, cents by period."""
    given_back = {}
    for given in year.stripe.customers.balance_transactions.list(tenant.customer, {"limit": 100}).auto_paging_iter():
        if given.metadata and "period" in given.metadata:
            at = datetime.fromisoformat(given.metadata["period"])
            given_back[at] = given_back.get(at, 0) + given.amount
    for note in year.stripe.credit_notes.list({"customer": tenant.customer, "limit": 100}).auto_paging_iter():
        at = datetime.fromisoformat(note.metadata["period"])
        given_back[at] = given_back.get(at, 0) - note.amount
    return given_back


def told(year, tenant):
    """Units that Stripe's meter has."""
    since, until = SINCE.replace(minute=0), year.now.replace(minute=0)
    return year.gateway.usage_told(
        customer=tenant.customer, meter=year.gateway.meter_ensure(), since=since, until=until + timedelta(days=1)
    )
