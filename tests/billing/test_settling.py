"""What Stripe charged for a period that is over becomes what its bill says, once."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.billing.changes import plan_change
from apps.billing.gateways.charges import Extra, ExtraLine
from apps.billing.gateways.stripe import gateway
from apps.billing.models import Account, Settlement
from apps.billing.periods import periods_until
from apps.billing.rating import HOUR, bill
from apps.billing.settling import SETTLED_AFTER, periods_settle
from apps.billing.tasks import usage_post
from apps.plans.models import TenantPlan, Term
from apps.plans.periods import hour_of
from apps.plans.selectors import terms_of
from apps.plans.services import plan_set
from tests.billing.buying import checkout, pay
from tests.billing.rows import count, late, settle

NOW = LATER = SINCE = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _present(within_an_hour, monkeypatch):
    """Plans are bought at the real time, so the test's own is not that of the import."""
    now = datetime.now(UTC)
    monkeypatch.setitem(globals(), "NOW", now)
    monkeypatch.setitem(globals(), "LATER", now + SETTLED_AFTER + HOUR)
    monkeypatch.setitem(globals(), "SINCE", hour_of(now) - 240 * HOUR)


@pytest.fixture
def changed(selling, free, page, metering):
    """bob's tenant, ten days on Startup and from this hour on Professional; its checks came after the change."""
    pay(checkout(page))
    page("bought")
    TenantPlan.objects.filter(tenant_id=free.tenant_id).update(since_at=SINCE)
    Term.objects.filter(tenant_id=free.tenant_id).update(starts_at=SINCE)
    plan_change(gateway(), tenant_id=free.tenant_id, code="professional", now=NOW)
    # Startup's fee, as if it had been charged ten days ago
    charge(free.tenant_id, 4_900, "fee")
    count(metering, free.tenant_id, SINCE + 5 * HOUR, 700_000)
    settle(metering, hour_of(NOW))
    usage_post()
    return free


def charge(tenant_id, cents, reference):
    account = Account.objects.get(tenant_id=tenant_id)
    line = ExtraLine(Extra.CORRECTION, cents, SINCE, SINCE + HOUR)
    gateway().charges.correct(
        account.customer, subscription=account.subscription, line=line, reference=f"{tenant_id}-{reference}"
    )


def pending(selling, tenant_id):
    """Of what waits for the next invoice, cents by what they are for."""
    customer = Account.objects.get(tenant_id=tenant_id).customer
    found = selling.invoice_items.list({"customer": customer, "pending": True, "limit": 100}).data
    return {item.metadata["reference"].partition("-")[2]: item.amount for item in found}


def settled(metering, *, now=None):
    now = now or LATER
    settle(metering, hour_of(now))
    usage_post()
    metering.execute("UPDATE billing.overage SET told_at = now() WHERE told_at IS NULL")
    return periods_settle(metering, gateway(), now=now)


def startup_bill(tenant_id, used):
    period = periods_until(terms_of(tenant_id), NOW)[-2]
    assert period.terms.plan_code == "startup"
    return bill(period, used)


def test_the_last_hours_before_a_change_are_charged_afterwards(selling, changed, metering):
    owed = startup_bill(changed.tenant_id, 700_000)
    assert owed.overage > 0
    unused = owed.lines[1].amount_cents
    assert settled(metering) == 1
    made = Settlement.objects.get(tenant_id=changed.tenant_id)
    assert (made.billed_cents, made.charged_cents) == (owed.total_cents, 4_900 + unused)
    assert pending(selling, changed.tenant_id) == {"fee": 4_900, f"{SINCE:%Y%m%d%H}": owed.lines[2].amount_cents}


def test_a_period_is_settled_once(selling, changed, metering):
    assert settled(metering) == 1
    before = pending(selling, changed.tenant_id)
    Account.objects.update(settle_at=None)
    assert settled(metering) == 0
    Settlement.objects.update(done_at=None)  # as if the answer had not been heard
    Account.objects.update(settle_at=None)
    assert settled(metering) == 1
    assert pending(selling, changed.tenant_id) == before


def test_what_is_right_is_left_alone(selling, changed, metering):
    owed = startup_bill(changed.tenant_id, 700_000)
    charge(changed.tenant_id, owed.lines[2].amount_cents, "hours")
    assert settled(metering) == 1
    assert set(pending(selling, changed.tenant_id)) == {"fee", "hours"}


def test_nothing_is_settled_while_late_checks_may_come(selling, changed, metering):
    assert settled(metering, now=NOW + 5 * HOUR) == 0
    late(metering, changed.tenant_id, SINCE + 6 * HOUR, 50_000, found_at=NOW + 5 * HOUR)
    Account.objects.update(settle_at=None)
    assert settled(metering) == 1
    assert Settlement.objects.get().billed_cents == startup_bill(changed.tenant_id, 750_000).total_cents


def test_nothing_is_settled_before_its_overage_is_told(selling, changed, metering):
    settle(metering, hour_of(LATER))
    usage_post()
    assert periods_settle(metering, gateway(), now=LATER) == 0
    assert Account.objects.get().settle_at > LATER


def test_a_plan_that_was_given_costs_nothing(selling, free, page, metering):
    checkout(page)
    plan_set(tenant_id=free.tenant_id, code="professional", since=NOW - timedelta(days=2))
    plan_set(tenant_id=free.tenant_id, code="free")
    assert settled(metering) == 0
    assert not Settlement.objects.exists()


def test_after_the_end_a_charge_is_an_invoice_of_its_own(selling, changed, metering):
    account = Account.objects.get()
    gateway().subscriptions.cancel(account.subscription)
    Account.objects.update(status="", subscription="")
    assert settled(metering) >= 1
    newest = selling.invoices.list({"customer": account.customer, "limit": 1}).data[0]
    assert newest.billing_reason == "manual"
    owed = startup_bill(changed.tenant_id, 700_000)
    assert owed.lines[2].amount_cents in {line.amount for line in newest.lines.data}


def test_after_the_end_a_credit_is_the_customers_balance(selling, changed, metering):
    account = Account.objects.get()
    charge(changed.tenant_id, 10_000, "too much")
    gateway().subscriptions.cancel(account.subscription)
    Account.objects.update(status="", subscription="")
    assert settled(metering) >= 1
    made = Settlement.objects.order_by("period_at").first()
    assert made.correction_cents < 0
    assert selling.customers.retrieve(account.customer).balance == made.correction_cents
