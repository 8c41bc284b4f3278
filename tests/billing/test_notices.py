"""What members hear of money, once each."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.billing.accounts import account_sync
from apps.billing.gateways.stripe import gateway
from apps.billing.giving import give, giving_carry
from apps.billing.mirroring import mirror_sync
from apps.billing.models import Account
from apps.billing.notices import invoices_say, renewals_say, trials_say
from apps.core.scope import tenant_scope
from apps.notifications.models import Delivery, Notice
from apps.plans.services import trial_begin
from tests.billing.buying import checkout, pay
from tests.billing.sandbox.rig import DAY, HOUR, START
from tests.factories import rule_make


def said(member, kind):
    """Contexts, in order."""
    with tenant_scope(member.tenant_id):
        return [one.context for one in Notice.objects.filter(kind=kind).order_by("id")]


@pytest.fixture
def look(free, customer):
    def at(seconds):
        now = datetime.fromtimestamp(seconds, UTC)
        mirror_sync(gateway(), customer=customer.id, now=timezone.now())
        return invoices_say(tenant_id=free.tenant_id, now=now)

    return at


def test_a_receipt_for_every_invoice_that_was_paid(shop, free, customer, look):
    assert [look(START + HOUR) for _ in range(3)] == [1, 0, 0]
    shop.advance(START + 32 * DAY)
    assert look(START + 32 * DAY) == 1
    amounts = [context["amount"] for context in said(free, "billing.receipt")]
    assert amounts == ["$49.00", "$49.00"]


def test_a_receipt_says_what_was_paid_and_not_what_a_credit_paid(shop, free, customer, look):
    look(START + HOUR)
    shop.v1.customers.balance_transactions.create(customer.id, {"amount": -900, "currency": "usd"})
    shop.advance(START + 32 * DAY)
    look(START + 32 * DAY)
    assert [context["amount"] for context in said(free, "billing.receipt")] == ["$49.00", "$40.00"]


def test_what_was_paid_long_before_we_looked_is_no_news(shop, free, customer, look):
    assert look(START + 20 * DAY) == 0


def test_every_try_that_failed_is_said_and_the_last_one_says_so(shop, free, customer, look):
    shop.card(customer, "pm_card_chargeCustomerFail")
    for day in (31, 34, 39, 46):
        shop.advance(START + day * DAY + 2 * HOUR)
        look(START + day * DAY + 2 * HOUR)
        look(START + day * DAY + 2 * HOUR)
    contexts = said(free, "billing.payment_failed")
    assert len(contexts) == 4
    assert [bool(context["retry_on"]) for context in contexts] == [True, True, True, False]
    assert "not tried again" in contexts[-1]["after"]


def test_a_plan_that_changed_is_said_with_its_mail(selling, free, page):
    pay(checkout(page))
    page("bought")
    account = Account.objects.get()
    for _ in range(2):
        account_sync(gateway(), customer=account.customer, now=timezone.now())
    [context] = said(free, "billing.plan_changed")
    assert (context["before"], context["plan"]) == ("Free", "Startup")
    with tenant_scope(free.tenant_id):
        assert Delivery.objects.filter(kind="billing.plan_changed").exists()


def test_a_renewal_is_said_three_days_before_unless_the_plan_ends(selling, free, page):
    pay(checkout(page))
    page("bought")
    renews_at = Account.objects.get().renews_at
    early, near = renews_at - timedelta(days=4), renews_at - timedelta(days=2)
    assert [renewals_say(now=early), renewals_say(now=near), renewals_say(now=near)] == [0, 1, 0]
    [context] = said(free, "billing.renewal")
    assert (context["plan"], context["amount"]) == ("Startup", "$49.00")
    Account.objects.update(ends_at=renews_at, renews_at=renews_at + timedelta(days=1))
    assert renewals_say(now=near) == 0


def test_a_trial_that_ends_is_said_three_days_before_with_what_goes(free):
    began = timezone.now()
    with tenant_scope(free.tenant_id):
        trial_begin(tenant_id=free.tenant_id)
        rule_make(free.tenant_id, name="per-ip", type="ip")
    early, near, over = (began + timedelta(days=days) for days in (10, 12, 15))
    assert [trials_say(now=now) for now in (early, near, near, over)] == [0, 1, 0, 0]
    [context] = said(free, "billing.trial_ending")
    assert (context["rules"], context["then"], context["webhooks"]) == (["per-ip"], "Free", True)


def test_money_that_is_given_back_is_said_once_it_is_there(shop, free, customer):
    mirror_sync(gateway(), customer=customer.id, now=timezone.now())
    [invoice] = shop.invoices(customer)
    gift = {"tenant_id": free.tenant_id, "cents": 900, "reason": "an hour of 503s", "given_by": "staff@example.com"}
    given = [give(kind="credit", **gift), give(kind="refund", invoice_number=invoice.number, **gift)]
    for row in given:
        giving_carry(gateway(), giving_id=row, now=timezone.now())  # again, by the sweep
    assert [(one["amount"], one["invoice"]) for one in said(free, "billing.credit")] == [
        ("$9.00", ""), ("$9.00", invoice.number),
    ]  # fmt: skip
