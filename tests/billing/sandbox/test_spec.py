"""What the stand-in says is what Stripe's own description of its API allows."""

import urllib.request

import pytest

from apps.billing.sandbox.api import MODULES
from apps.billing.sandbox.routes import API
from tests.billing.sandbox.rig import DAY, HOUR, KEY, START, Shop
from tests.billing.sandbox.spec import SpecMissing, faults_of, spec
from tests.billing.sandbox.test_pages import card, portal, session, visit
from tests.billing.sandbox.test_schedules import downgrade
from tests.billing.sandbox.test_wire import call

FEBRUARY = START + 31 * DAY


@pytest.fixture(scope="module", autouse=True)
def _described():
    try:
        spec()
    except SpecMissing as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def lived(sandbox):
    """A shop in which everything has happened once."""
    shop = Shop(sandbox)
    shop.happy, shop.broke = shop.customer(tax_id_data=[{"type": "eu_vat", "value": "DE123456789"}]), shop.customer()
    coupon = shop.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    shop.subscription = shop.subscribe(shop.happy, discounts=[{"coupon": coupon.id}])
    shop.subscribe(shop.broke)
    shop.card(shop.broke, "pm_card_chargeCustomerFail")
    shop.v1.customers.balance_transactions.create(shop.happy.id, {"amount": -500, "currency": "usd"})
    shop.use(shop.happy, 12_345)
    item = shop.subscription["items"].data[0].id
    shop.v1.subscriptions.update(shop.subscription.id, {"items": [{"id": item, "price": shop.pro.id}]})
    trial = shop.subscribe(shop.happy, shop.price(700), trial_period_days=5)
    shop.advance(FEBRUARY + HOUR)
    shop.v1.subscriptions.cancel(trial.id, {"prorate": True, "invoice_now": True})
    shop.sold, shop.kept = session(shop, shop.customer(card=None)), session(shop, shop.customer(card=None))
    visit(shop.sold.url, card())
    asks = session(shop, shop.customer(card=None))
    visit(asks.url, card("4000 0027 6000 3184"))
    visit(f"{asks.url}/authenticate", {"answer": "yes"})
    portal(shop, shop.happy)
    charge = shop.v1.charges.list({"customer": shop.happy.id}).data[0]
    shop.v1.refunds.create({"charge": charge.id, "amount": 100})
    invoice = shop.invoices(shop.happy)[0]
    shop.v1.credit_notes.create({"invoice": invoice.id, "amount": 200, "credit_amount": 200})
    shop.v1.setup_intents.create({"customer": shop.happy.id, "payment_method": "pm_card_visa", "confirm": True})
    downgrade(shop, shop.subscribe(shop.happy, shop.pro, shop.over_pro))
    shop.advance(FEBRUARY + 31 * DAY)
    return shop


def test_every_event_and_what_it_is_about(lived, sandbox):
    found, kinds, after = {}, set(), ""
    more = True
    while more:
        _, body, _ = call(sandbox, "GET", f"/v1/events?limit=100{after}")
        for event in body["data"]:
            kinds.add(event["type"])
            for fault in [*faults_of(event["data"]["object"]), *faults_of(event)]:
                found.setdefault(fault, event["type"])
        more, after = body["has_more"], f"&starting_after={body['data'][-1]['id']}"
    assert len(kinds) > 30
    assert found == {}


LISTS = (
    "/v1/accounts", "/v1/billing/meters", "/v1/billing_portal/configurations", "/v1/charges", "/v1/checkout/sessions",
    "/v1/coupons", "/v1/credit_notes", "/v1/customers", "/v1/invoice_payments", "/v1/invoiceitems", "/v1/invoices",
    "/v1/payment_intents", "/v1/prices", "/v1/products", "/v1/refunds", "/v1/setup_intents",
    "/v1/subscriptions?status=all", "/v1/subscription_schedules", "/v1/test_helpers/test_clocks",
)  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_every_list(lived, sandbox, path):
    status, body, _ = call(sandbox, "GET", f"{path}{'&' if '?' in path else '?'}limit=100")
    assert (status, body["object"], body["has_more"]) == (200, "list", body["has_more"])
    assert body["data"]
    assert {fault for item in body["data"] for fault in faults_of(item)} == set()


def test_what_belongs_to_a_customer_a_subscription_an_invoice(lived, sandbox):
    invoice = lived.invoices(lived.happy)[0]
    hours = f"start_time={START}&end_time={FEBRUARY}&value_grouping_window=hour"
    paths = (
        f"/v1/customers/{lived.happy.id}/tax_ids",
        f"/v1/customers/{lived.happy.id}/balance_transactions",
        f"/v1/payment_methods?customer={lived.happy.id}",
        f"/v1/subscription_items?subscription={lived.subscription.id}",
        f"/v1/invoices/{invoice.id}/lines",
        f"/v1/checkout/sessions/{lived.sold.id}/line_items",
        f"/v1/billing/meters/{lived.meter.id}/event_summaries?customer={lived.happy.id}&{hours}",
    )
    for path in paths:
        _, body, _ = call(sandbox, "GET", path)
        assert body["data"], path
        assert {fault for item in body["data"] for fault in faults_of(item)} == set()


def test_answers_that_are_in_no_list(lived, sandbox):
    lived.use(lived.happy, 3, "to-cancel")
    coupon = lived.v1.coupons.create({"percent_off": 10})
    name = lived.meter.event_name
    used = {"event_name": name, "payload[stripe_customer_id]": lived.happy.id, "payload[value]": "1"}
    undone = {"event_name": name, "type": "cancel", "cancel[identifier]": "to-cancel"}
    answers = [
        call(sandbox, "POST", "/v1/invoices/create_preview", {"subscription": lived.subscription.id})[1],
        call(sandbox, "POST", "/v1/billing/meter_events", used)[1],
        call(sandbox, "POST", "/v1/billing/meter_event_adjustments", undone)[1],
        call(sandbox, "GET", "/v1/account")[1],
        call(sandbox, "DELETE", f"/v1/coupons/{coupon.id}")[1],
    ]
    assert [fault for item in answers for fault in faults_of(item)] == []


def test_every_path_is_one_of_stripes():
    import re

    assert MODULES
    theirs = {(method, re.sub(r"\{\w+\}", "{}", path)) for path, verbs in spec()["paths"].items() for method in verbs}
    ours = {
        (method.lower(), re.sub(r"\(\?P<\w+>\[\^/\]\+\)", "{}", pattern.pattern[:-2])) for method, pattern, _ in API
    }
    assert ours - theirs == set()
    assert len(ours) > 90


def test_hosted_addresses_are_only_shown_while_they_work(lived):
    assert lived.v1.checkout.sessions.retrieve(lived.sold.id).url is None
    assert urllib.request.Request(lived.kept.url, headers={"Authorization": KEY}).host
