"""The hosted pages, as a person without scripts walks through them."""

import re
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.billing.sandbox.rig import DAY, HOUR, START

FEBRUARY = START + 31 * DAY
PAYS, KEPT_ONLY, ASKS_ONCE, ASKS, EMPTY = (
    "4242 4242 4242 4242",
    "4000 0000 0000 0341",
    "4000 0025 0000 3155",
    "4000 0027 6000 3184",
    "4000 0000 0000 9995",
)
SUCCESS = "http://127.0.0.1:1/done?session={CHECKOUT_SESSION_ID}"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def visit(url, form=None):
    """Status, text, where it redirects to."""
    opener = urllib.request.build_opener(_Stay())
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    try:
        with opener.open(url, data) as answer:
            return answer.status, answer.read().decode("latin-1"), None
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode("latin-1"), answer.headers["Location"]


def card(number=PAYS, **more):
    return {"number": number, "expiry": "12 / 34", "cvc": "123", "name": "Ada Lovelace", **more}


def session(shop, customer=None, **more):
    return shop.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": shop.base.id, "quantity": 1}, {"price": shop.over.id}],
            "success_url": SUCCESS,
            "cancel_url": "http://127.0.0.1:1/back",
            **({"customer": customer.id} if customer else {}),
            **more,
        }
    )


def subscriptions(shop, customer):
    return shop.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data


def test_checkout_says_what_it_costs_and_that_no_money_moves(shop):
    made = session(shop, shop.customer(card=None))
    status, text, _ = visit(made.url)
    assert status == 200
    assert "Test mode: no money moves" in text
    assert "Pay $49.00 and subscribe" in text
    assert 'value="4242 4242 4242 4242"' in text
    assert (made.amount_total, made.status, made.payment_status) == (4_900, "open", "unpaid")


def test_checkout_with_a_card_that_pays_makes_the_subscription(shop):
    customer = shop.customer(card=None)
    made = session(shop, customer, subscription_data={"metadata": {"tenant": "7"}}, client_reference_id="7")
    status, _, target = visit(made.url, card())
    assert (status, target) == (303, SUCCESS.replace("{CHECKOUT_SESSION_ID}", made.id))
    done = shop.v1.checkout.sessions.retrieve(made.id, {"expand": ["subscription", "line_items"]})
    assert (done.status, done.payment_status, done.client_reference_id) == ("complete", "paid", "7")
    assert done.subscription.status == "active"
    assert done.subscription.metadata["tenant"] == "7"
    assert done.subscription.default_payment_method
    assert [item.amount_total for item in done.line_items.data] == [4_900, 0]
    event = shop.v1.events.list({"type": "checkout.session.completed", "limit": 1}).data[0]
    assert event.data.object["id"] == made.id


def test_paying_twice_buys_once(shop):
    customer = shop.customer(card=None)
    made = session(shop, customer)
    first, second = visit(made.url, card()), visit(made.url, card())
    assert first[2] == second[2] == visit(made.url)[2]
    assert len(subscriptions(shop, customer)) == 1


@pytest.mark.parametrize("number", [KEPT_ONLY, EMPTY, "4111 1111 1111 1111", ""])
def test_a_card_that_fails_leaves_the_checkout_open_and_nothing_else(shop, number):
    customer = shop.customer(card=None)
    made = session(shop, customer)
    status, text, _ = visit(made.url, card(number))
    assert status == 200
    assert 'role="alert"' in text
    assert subscriptions(shop, customer) == []
    assert shop.v1.payment_methods.list({"customer": customer.id}).data == []
    assert visit(made.url, card())[0] == 303


@pytest.mark.parametrize("number", [ASKS_ONCE, ASKS])
def test_a_card_that_needs_authentication_asks_first(shop, number):
    customer = shop.customer(card=None)
    made = session(shop, customer)
    _, text, _ = visit(made.url, card(number))
    assert "Your bank asks" in text
    _, text, _ = visit(f"{made.url}/authenticate", {"answer": "no"})
    assert "did not confirm" in text
    assert subscriptions(shop, customer) == []
    visit(made.url, card(number))
    assert visit(f"{made.url}/authenticate", {"answer": "yes"})[0] == 303
    assert subscriptions(shop, customer)[0].status == "active"


def test_a_card_authenticated_once_pays_later_by_itself_and_another_asks_each_time(shop):
    states = {}
    for number in (ASKS_ONCE, ASKS):
        customer = shop.customer(card=None)
        made = session(shop, customer)
        visit(made.url, card(number))
        visit(f"{made.url}/authenticate", {"answer": "yes"})
        states[number] = customer
    shop.advance(FEBRUARY + HOUR)
    assert subscriptions(shop, states[ASKS_ONCE])[0].status == "active"
    assert subscriptions(shop, states[ASKS])[0].status == "past_due"
    intent = shop.v1.payment_intents.list({"customer": states[ASKS].id, "limit": 1}).data[0]
    assert intent.status == "requires_action"
    assert visit(intent.next_action.redirect_to_url.url, {"answer": "yes"})[0] == 200
    assert subscriptions(shop, states[ASKS])[0].status == "active"


def test_a_trial_is_started_with_a_card_and_costs_nothing_today(shop):
    customer = shop.customer(card=None)
    made = session(shop, customer, subscription_data={"trial_period_days": 14})
    assert "Start trial" in visit(made.url)[1]
    visit(made.url, card())
    done = shop.v1.checkout.sessions.retrieve(made.id)
    assert done.payment_status == "no_payment_required"
    assert subscriptions(shop, customer)[0].status == "trialing"


def test_a_stranger_becomes_a_customer_with_a_tax_id(shop):
    made = session(shop, customer_email="new@example.com", tax_id_collection={"enabled": True})
    visit(made.url, card(tax_type="eu_vat", tax_value="DE123456789"))
    done = shop.v1.checkout.sessions.retrieve(made.id, {"expand": ["customer.tax_ids"]})
    assert done.customer.email == "new@example.com"
    assert [one.value for one in done.customer.tax_ids.data] == ["DE123456789"]


def test_setup_keeps_a_card_without_charging(shop):
    customer = shop.customer(card=None)
    made = shop.v1.checkout.sessions.create({"mode": "setup", "customer": customer.id, "success_url": SUCCESS})
    visit(made.url, card())
    done = shop.v1.checkout.sessions.retrieve(made.id, {"expand": ["setup_intent"]})
    assert (done.status, done.setup_intent.status) == ("complete", "succeeded")
    assert shop.v1.payment_methods.retrieve(done.setup_intent.payment_method).customer == customer.id


def test_an_expired_checkout_sells_nothing(shop):
    customer = shop.customer(card=None)
    early, late = session(shop, customer), session(shop, customer)
    shop.v1.checkout.sessions.expire(early.id)
    shop.advance(START + DAY)
    for made in (early, late):
        assert visit(made.url, card())[0] == 410
    assert subscriptions(shop, customer) == []


def portal(shop, customer, **more):
    return shop.v1.billing_portal.sessions.create(
        {"customer": customer.id, "return_url": "http://127.0.0.1:1/plan", **more}
    )


def test_the_portal_changes_the_card_and_pays_what_is_open(shop):
    customer = shop.customer("pm_card_visa")
    subscription = shop.subscribe(customer)
    shop.card(customer, "pm_card_chargeCustomerFail")
    shop.advance(FEBRUARY + HOUR)
    made = portal(shop, customer)
    _, text, _ = visit(made.url)
    assert "ending in 0341" in text
    invoice = re.search(r'name="invoice" value="(in_\w+)"', text)[1]
    assert 'role="alert"' in visit(f"{made.url}/pay", {"invoice": invoice})[1]
    assert visit(f"{made.url}/card", card("5555 5555 5555 4444"))[0] == 303
    assert visit(f"{made.url}/pay", {"invoice": invoice})[0] == 303
    assert shop.status(subscription) == "active"
    assert "Mastercard ending in 4444" in visit(made.url)[1]


def test_the_portal_cancels_and_keeps(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    made = portal(shop, customer)
    visit(f"{made.url}/cancel", {"subscription": subscription.id})
    ending = shop.v1.subscriptions.retrieve(subscription.id)
    assert (ending.cancel_at_period_end, ending.cancel_at) == (True, FEBRUARY)
    visit(f"{made.url}/keep", {"subscription": subscription.id})
    kept = shop.v1.subscriptions.retrieve(subscription.id)
    assert (kept.cancel_at_period_end, kept.cancel_at, kept.canceled_at) == (False, None, None)


def test_a_portal_for_one_thing_goes_back_afterwards(shop):
    customer = shop.customer()
    made = portal(
        shop,
        customer,
        flow_data={
            "type": "payment_method_update",
            "after_completion": {"type": "redirect", "redirect": {"return_url": "http://127.0.0.1:1/thanks"}},
        },
    )
    assert "Subscriptions" not in visit(made.url)[1]
    assert visit(f"{made.url}/card", card())[2] == "http://127.0.0.1:1/thanks"


def test_one_customers_portal_touches_no_other_customer(shop):
    ada, bob = shop.customer(), shop.customer()
    subscription = shop.subscribe(bob)
    invoice = shop.invoices(bob)[0]
    made = portal(shop, ada)
    assert visit(f"{made.url}/cancel", {"subscription": subscription.id})[0] == 404
    assert visit(f"{made.url}/pay", {"invoice": invoice.id})[0] == 404
    assert shop.v1.subscriptions.retrieve(subscription.id).cancel_at_period_end is False


def test_an_invoice_is_a_page_and_a_pdf(shop):
    customer = shop.customer(card=None)
    shop.subscribe(customer)
    invoice = shop.invoices(customer)[0]
    status, text, _ = visit(invoice.hosted_invoice_url)
    assert status == 200
    assert invoice.number in text
    assert "$49.00" in text
    status, pdf, _ = visit(invoice.invoice_pdf)
    assert (status, pdf[:8]) == (200, "%PDF-1.4")
    assert f"(Invoice {invoice.number})" in pdf
    assert "($49.00)" in pdf
    assert visit(invoice.hosted_invoice_url[:-1] + "_")[0] == 404
    assert visit(invoice.hosted_invoice_url, card())[0] == 303
    paid = shop.v1.invoices.retrieve(invoice.id)
    assert paid.status == "paid"
    receipt = shop.v1.charges.list({"customer": customer.id}).data[0].receipt_url
    assert "$49.00" in visit(receipt)[1]


def test_pages_escape_what_people_write(shop):
    customer = shop.customer(name="<script>alert(1)</script>")
    shop.subscribe(customer)
    for url in (portal(shop, customer).url, shop.invoices(customer)[0].hosted_invoice_url):
        text = visit(url)[1]
        assert "<script" not in text
        assert "&lt;script&gt;" in text
