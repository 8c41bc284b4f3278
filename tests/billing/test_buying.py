"""From the plan page through Stripe's page and back: what Stripe says of a subscription decides the plan."""

import json
import time
from types import SimpleNamespace

import pytest
import stripe
from django.db import transaction
from django.test import Client
from django.utils import timezone

from apps.billing.accounts import account_sync, accounts_unseen
from apps.billing.gateways import stripe as gateways
from apps.billing.models import Account
from apps.plans.selectors import plan_get, plan_of
from tests.billing.buying import checkout, pay
from tests.billing.sandbox.rig import SECRET
from tests.factories import colleague_make
from tests.people import Browser


def signed(event, *, secret=SECRET, at=None):
    body = json.dumps(event).encode()
    moment = int(at or time.time())
    signature = stripe.WebhookSignature._compute_signature(f"{moment}.{body.decode()}", secret)
    return Client().post(
        "/stripe/webhook",
        body,
        content_type="application/json",
        headers={"Stripe-Signature": f"t={moment},v1={signature}"},
    )


def news(customer):
    return {"id": "evt_1", "object": "event", "type": "customer.subscription.updated",
            "data": {"object": {"id": "sub_1", "object": "subscription", "customer": customer}}}  # fmt: skip


def test_the_page_offers_what_can_be_bought(selling, free, page):
    text = page("change").content.decode()
    assert "Buy Startup" in text
    assert "Buy Professional" in text
    assert "Buy Enterprise" not in text
    assert "Buy Free" not in text


def test_bought_with_a_card_the_plan_is_there_when_the_browser_is_back(selling, free, page):
    back = pay(checkout(page))
    assert back.endswith(f"/t/{free.slug}/plan/bought")
    assert plan_of(free.tenant_id).code == "free"
    answer = page("bought", follow=True)
    assert "You are on the Startup plan" in answer.content.decode()
    assert plan_of(free.tenant_id).code == "startup"
    account = Account.objects.get(tenant_id=free.tenant_id)
    assert (account.status, account.ends_at) == ("active", None)
    prices = {
        item.price.unit_amount_decimal for item in selling.subscriptions.retrieve(account.subscription)["items"].data
    }
    assert {str(price) for price in prices} == {"4900", "0.005"}


def test_a_card_that_fails_buys_nothing(selling, free, page):
    pay(checkout(page), "4000000000009995")
    page("bought")
    assert plan_of(free.tenant_id).code == "free"


def test_news_alone_do_it_too_in_any_number(selling, free, page):
    pay(checkout(page, "professional"))
    customer = Account.objects.get(tenant_id=free.tenant_id).customer
    for _ in range(3):
        assert signed(news(customer)).status_code == 200
    assert plan_of(free.tenant_id).code == "professional"


def test_the_end_of_the_subscription_is_the_end_of_the_plan(selling, free, page):
    pay(checkout(page))
    page("bought")
    account = Account.objects.get(tenant_id=free.tenant_id)
    selling.subscriptions.update(account.subscription, {"cancel_at_period_end": True})
    signed(news(account.customer))
    assert plan_of(free.tenant_id).code == "startup"
    assert Account.objects.get(tenant_id=free.tenant_id).ends_at is not None
    assert "then Free begins" in page("change").content.decode()
    selling.subscriptions.cancel(account.subscription)
    for _ in range(2):
        signed(news(account.customer))
    assert plan_of(free.tenant_id).code == "free"
    assert "Buy Startup" in page("change").content.decode()


def test_who_pays_already_is_not_sold_a_second_subscription(selling, free, page):
    pay(checkout(page))
    page("bought")
    answer = page("change", {"plan": "professional"}, follow=True)
    assert "There is a subscription already" in answer.content.decode()


def test_the_portal_is_for_customers(selling, stand_in, free, page):
    assert (
        "Nothing has been bought yet"
        in Browser().into(free.email).post(f"/t/{free.slug}/invoices/portal", follow=True).content.decode()
    )
    checkout(page)
    assert Browser().into(free.email).post(f"/t/{free.slug}/invoices/portal")["Location"].startswith(stand_in.url)


@pytest.mark.parametrize("plan", ["free", "enterprise", "nonsense"])
def test_what_is_not_sold_here_is_refused_in_words(selling, free, page, plan):
    text = page("change", {"plan": plan}, follow=True).content.decode()
    assert "is not bought here" in text or "there is no plan" in text


def test_a_developer_buys_nothing(selling, free):
    with transaction.atomic():
        colleague_make(free.tenant_id, "developer", email="dev@bob.example")
    client = Browser().into("dev@bob.example")
    assert client.post(f"/t/{free.slug}/plan/change", {"plan": "startup"}).status_code == 403


class TestWebhooks:
    def test_a_wrong_or_old_signature_is_refused_and_nothing_happens(self, selling, free, sent):
        assert signed(news("cus_1"), secret="whsec_other").status_code == 400
        assert signed(news("cus_1"), at=time.time() - 600).status_code == 400
        assert Client().post("/stripe/webhook", b"{}", content_type="application/json").status_code == 400
        assert sent == []

    def test_a_stranger_is_no_business_of_ours(self, selling, free):
        assert signed(news("cus_stranger")).status_code == 200

    def test_without_a_secret_nothing_is_taken(self, selling, settings, free):
        settings.STRIPE_WEBHOOK_SECRET = ""
        assert signed(news("cus_1")).status_code == 503

    def test_what_is_too_long_is_not_read(self, selling, free):
        assert signed({"padding": "x" * 300_000}).status_code == 413


def test_news_that_never_come_are_made_good_by_asking(selling, free, page):
    pay(checkout(page))
    customer = Account.objects.get(tenant_id=free.tenant_id).customer
    assert customer in accounts_unseen(now=timezone.now())
    account_sync(gateways.gateway(), customer=customer, now=timezone.now())
    assert customer not in accounts_unseen(now=timezone.now())
    assert plan_of(free.tenant_id).code == "startup"
    assert plan_get("startup").price_cents == 4_900


def test_of_two_who_ask_at_once_the_later_question_decides(selling, free, page):
    pay(checkout(page))
    customer = Account.objects.get(tenant_id=free.tenant_id).customer
    early = timezone.now()
    account_sync(gateways.gateway(), customer=customer, now=timezone.now())

    class Slow:
        """Its answer is from before the plan was bought, and comes after it."""

        def of(self, customer):
            return []

    account = account_sync(SimpleNamespace(subscriptions=Slow()), customer=customer, now=early)
    assert account.status == "active"
    assert plan_of(free.tenant_id).code == "startup"
