"""From one paid plan to another, now or when the period ends. What Stripe charges is what was said."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.billing.changes import When, change_offer, plan_change
from apps.billing.gateways.charges import Extra
from apps.billing.gateways.errors import StripeRefused
from apps.billing.gateways.stripe import gateway
from apps.billing.models import Account
from apps.billing.periods import period_of
from apps.billing.tasks import usage_post
from apps.core.errors import Conflict
from apps.core.scope import tenant_scope
from apps.limits.services import rule_create
from apps.limits.specs import RuleSpec
from apps.plans.models import TenantPlan, Term
from apps.plans.periods import hour_of
from apps.plans.selectors import plan_of, terms_of
from tests.billing.buying import POOR, checkout, pay
from tests.billing.rows import HOUR, count, settle
from tests.people import Browser

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _present(within_an_hour, monkeypatch):
    """Plans are bought at the real time, so the test's own is not that of the import."""
    monkeypatch.setitem(globals(), "NOW", datetime.now(UTC))


TEN_DAYS = 240 * HOUR


@pytest.fixture
def startup(selling, free, page, metering):
    """bob's tenant, on Startup for ten days, with 900,000 checks on the first of them."""
    pay(checkout(page))
    page("bought")
    since = hour_of(NOW) - TEN_DAYS
    TenantPlan.objects.filter(tenant_id=free.tenant_id).update(since_at=since)
    Term.objects.filter(tenant_id=free.tenant_id).update(starts_at=since)
    count(metering, free.tenant_id, since, 900_000)
    settle(metering, hour_of(NOW))
    usage_post()
    return free


def invoices(selling, tenant_id):
    customer = Account.objects.get(tenant_id=tenant_id).customer
    return list(selling.invoices.list({"customer": customer, "limit": 10}).data)


def test_more_begins_at_once_and_costs_what_was_said(selling, startup, page):
    offer = change_offer(tenant_id=startup.tenant_id, code="professional", now=NOW)
    full_hours = period_of(terms_of(startup.tenant_id), NOW).full_hours
    included = -(-1_000_000 * 240 // full_hours)
    unused = -round(4_900 * (full_hours - 240) / full_hours)
    overage = round((900_000 - included) * 0.005)
    assert {line.kind: line.cents for line in offer.lines} == {Extra.UNUSED: unused, Extra.OVERAGE: overage}
    text = page("change/professional").content.decode()
    assert f"${offer.due_cents / 100:.2f}" in text

    page("change/professional", {})
    assert plan_of(startup.tenant_id).code == "professional"
    newest = invoices(selling, startup.tenant_id)[0]
    assert (newest.status, newest.amount_paid) == ("paid", 19_900 + unused + overage)
    assert {line.description for line in newest.lines.data} >= {Extra.UNUSED.value, Extra.OVERAGE.value}
    assert [term.plan.code for term in terms_of(startup.tenant_id)][-2:] == ["startup", "professional"]


def test_the_plan_that_was_left_stands_on_the_subscription(selling, startup):
    customer = Account.objects.get(tenant_id=startup.tenant_id).customer
    [held] = gateway().subscriptions.of(customer)
    plan_change(gateway(), tenant_id=startup.tenant_id, code="professional", now=NOW)
    [changed] = gateway().subscriptions.of(customer)
    assert (changed.plan_code, changed.before) == ("professional", (("startup", held.since),))
    selling.subscriptions.update(held.id, {"metadata": {"plans_before": "startup@yesterday professional"}})
    assert gateway().subscriptions.of(customer)[0].before == ()  # by somebody's hand


def test_who_clicks_twice_has_changed_once(selling, startup):
    plan_change(gateway(), tenant_id=startup.tenant_id, code="professional", now=NOW)
    with pytest.raises(Conflict, match="already"):
        plan_change(gateway(), tenant_id=startup.tenant_id, code="professional", now=NOW)
    assert len(invoices(selling, startup.tenant_id)) == 2


def test_while_one_asks_another_waits(selling, startup):
    Account.objects.filter(tenant_id=startup.tenant_id).update(changing_until=NOW + timedelta(seconds=30))
    with pytest.raises(Conflict, match="under way"):
        plan_change(gateway(), tenant_id=startup.tenant_id, code="professional", now=NOW)
    plan_change(gateway(), tenant_id=startup.tenant_id, code="professional", now=NOW + timedelta(minutes=2))
    assert plan_of(startup.tenant_id).code == "professional"


def test_a_card_that_is_declined_changes_nothing(selling, startup, page):
    account = Account.objects.get(tenant_id=startup.tenant_id)
    method = selling.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": account.customer})
    selling.customers.update(account.customer, {"invoice_settings": {"default_payment_method": method.id}})
    selling.subscriptions.update(account.subscription, {"default_payment_method": method.id})
    with pytest.raises(StripeRefused, match="declined"):
        plan_change(gateway(), tenant_id=startup.tenant_id, code="professional", now=NOW)
    text = page("change/professional", {}, follow=True).content.decode()
    assert "Nothing has changed" in text
    assert plan_of(startup.tenant_id).code == "startup"
    assert [invoice.amount_due for invoice in invoices(selling, startup.tenant_id)] == [4_900]


def test_a_card_without_money_buys_nothing(selling, free, page):
    pay(checkout(page), POOR)
    with pytest.raises(Conflict, match="no subscription"):
        change_offer(tenant_id=free.tenant_id, code="professional", now=NOW)


def test_less_begins_when_the_period_ends_and_can_be_taken_back(selling, startup, page):
    plan_change(gateway(), tenant_id=startup.tenant_id, code="professional", now=NOW)
    with tenant_scope(startup.tenant_id):
        rule_create(
            tenant_id=startup.tenant_id,
            spec=RuleSpec(name="by-plan", type="custom", key=("attributes.tier",), limit=5, window_ms=1_000),
        )
    offer = change_offer(tenant_id=startup.tenant_id, code="startup", now=NOW)
    assert (offer.when, offer.due_cents, offer.losses.rules) == (When.RENEWAL, 0, ("by-plan",))
    text = page("change/startup").content.decode()
    assert "by-plan" in text
    assert "30 days instead of 90" in text

    page("change/startup", {})
    account = Account.objects.get(tenant_id=startup.tenant_id)
    assert (account.next_plan_code, plan_of(startup.tenant_id).code) == ("startup", "professional")
    with pytest.raises(Conflict, match="Take that back first"):
        change_offer(tenant_id=startup.tenant_id, code="free", now=NOW)
    assert "Keep Professional" in page("change").content.decode()
    assert "then Startup begins" in Browser().into(startup.email).get(f"/t/{startup.slug}/plan").content.decode()

    page("keep", {})
    assert Account.objects.get(tenant_id=startup.tenant_id).next_plan_code == ""


def test_free_begins_when_the_period_ends_and_can_be_taken_back(selling, startup, page):
    assert "costs nothing" in page("change/free").content.decode()
    page("change/free", {})
    account = Account.objects.get(tenant_id=startup.tenant_id)
    assert account.ends_at == account.renews_at
    assert plan_of(startup.tenant_id).code == "startup"
    page("keep", {})
    assert Account.objects.get(tenant_id=startup.tenant_id).ends_at is None


@pytest.mark.parametrize(("code", "words"), [("startup", "already"), ("enterprise", "not bought here")])
def test_what_cannot_be_changed_to_is_said(selling, startup, page, code, words):
    assert words in page(f"change/{code}", follow=True).content.decode()


def test_when_stripe_is_away_nothing_is_claimed(selling, startup, page, settings):
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    gateway.cache_clear()
    assert "cannot be reached" in page("change/professional", {}, follow=True).content.decode()
    assert Account.objects.get(tenant_id=startup.tenant_id).changing_until is None
