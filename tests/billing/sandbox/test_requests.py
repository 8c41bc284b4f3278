"""Requests that the stand-in takes are requests that Stripe would take: replayed to stripe-mock, which knows."""

import json
from urllib.parse import urlsplit

import pytest
import stripe

from tests.billing.sandbox.rig import DAY, HOUR, KEY, START, Sandbox, Shop
from tests.billing.sandbox.spec import SpecMissing
from tests.billing.sandbox.test_pages import portal, session
from tests.billing.sandbox.test_schedules import downgrade
from tests.billing.stripe_mock import StripeMock


@pytest.fixture(scope="module")
def mock():
    try:
        mock = StripeMock()
    except SpecMissing as reason:
        pytest.skip(str(reason))
    yield mock
    mock.stop()


class Recorder(stripe.RequestsClient):
    """Remembers what was asked, in what words."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def request(self, method, url, headers, post_data=None):
        self.asked.append((method, urlsplit(url), post_data))
        return super().request(method, url, headers, post_data)


def everything(shop):
    """One request of every kind that our code or its tests make."""
    v1 = shop.v1
    customer = shop.customer(tax_id_data=[{"type": "eu_vat", "value": "DE123456789"}])
    coupon = v1.coupons.create({"percent_off": 10, "duration": "repeating", "duration_in_months": 3})
    subscription = shop.subscribe(
        customer, discounts=[{"coupon": coupon.id}], payment_behavior="error_if_incomplete",
        expand=["latest_invoice.payments"], metadata={"tenant": "7"},
    )  # fmt: skip
    item = subscription["items"].data[0].id
    shop.use(customer, 5, "row-1")
    v1.billing.meter_event_adjustments.create(
        {"event_name": shop.meter.event_name, "type": "cancel", "cancel": {"identifier": "row-1"}}
    )
    hours = {"start_time": START, "end_time": START + DAY, "value_grouping_window": "hour"}
    v1.billing.meters.event_summaries.list(shop.meter.id, {"customer": customer.id, **hours})
    changes = {"items": [{"id": item, "price": shop.pro.id}], "proration_behavior": "create_prorations"}
    v1.invoices.create_preview({"subscription": subscription.id, "subscription_details": changes})
    v1.subscriptions.update(subscription.id, {**changes, "billing_cycle_anchor": "now"})
    v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    v1.customers.balance_transactions.create(customer.id, {"amount": -100, "currency": "usd"})
    draft = v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    v1.invoice_items.create({"customer": customer.id, "invoice": draft.id, "amount": 700, "currency": "usd"})
    v1.invoices.update(draft.id, {"automatically_finalizes_at": START + DAY})
    v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
    v1.invoices.pay(draft.id, {"off_session": True})
    v1.credit_notes.create({"invoice": draft.id, "amount": 100, "credit_amount": 100, "reason": "order_change"})
    charge = v1.charges.list({"customer": customer.id}).data[0]
    v1.refunds.create({"charge": charge.id, "amount": 100, "reason": "requested_by_customer"})
    session(shop, customer, subscription_data={"trial_period_days": 14}, client_reference_id="7")
    portal(shop, customer, flow_data={"type": "payment_method_update"})
    v1.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True})
    v1.prices.list({"lookup_keys": ["a"], "active": True, "recurring": {"interval": "month"}})
    v1.subscriptions.list({"customer": customer.id, "status": "all", "limit": 100})
    v1.events.list({"types": ["invoice.paid"], "created": {"gte": START}, "delivery_success": True})
    v1.webhook_endpoints.create({"url": "https://example.com/x", "enabled_events": ["invoice.paid"]})
    downgrade(shop, shop.subscribe(customer, shop.pro, shop.over_pro))
    shop.advance(START + DAY + HOUR)
    v1.subscriptions.cancel(subscription.id, {"invoice_now": True, "prorate": True})


@pytest.mark.slow
def test_stripe_would_take_the_same_requests(mock, tmp_path):
    sandbox, recorder = Sandbox(tmp_path), Recorder()
    sandbox.client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=recorder).v1
    everything(Shop(sandbox))
    sandbox.stop()
    refused = {}
    plain = stripe.RequestsClient()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    for method, url, data in recorder.asked:
        target = f"{mock.url}{url.path}{'?' + url.query if url.query else ''}"
        body, status, _ = plain.request(method, target, headers, data)
        if status != 200:
            refused[method, url.path, data] = json.loads(body)["error"]["message"]
    assert len(recorder.asked) > 35
    assert refused == {}
