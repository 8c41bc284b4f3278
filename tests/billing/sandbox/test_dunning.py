"""Cards that say no, what follows, and how it ends; money that is given back."""

import pytest
import stripe

from tests.billing.sandbox.rig import DAY, HOUR, START, Sandbox, Shop

FEBRUARY = START + 31 * DAY
FAILS = "pm_card_chargeCustomerFail"


@pytest.fixture
def canceling(tmp_path):
    sandbox = Sandbox(tmp_path, SANDBOX_AFTER_RETRIES="canceled", SANDBOX_RETRY_DAYS="1,2")
    yield Shop(sandbox)
    sandbox.stop()


def kinds(shop, ident):
    """Event types about one object, the oldest first."""
    events = shop.v1.events.list({"limit": 100}).auto_paging_iter()
    return [event.type for event in events if event.data.object["id"] == ident][::-1]


def test_a_failed_card_is_retried_on_schedule_then_the_subscription_is_unpaid(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.card(customer, FAILS)
    shop.advance(FEBRUARY + HOUR)
    invoice = shop.invoices(customer)[-1]
    seen = [(invoice.attempt_count, invoice.next_payment_attempt, shop.status(subscription))]
    for days in (3, 8, 15):
        shop.advance(FEBRUARY + HOUR + days * DAY)
        invoice = shop.v1.invoices.retrieve(invoice.id)
        seen.append((invoice.attempt_count, invoice.next_payment_attempt, shop.status(subscription)))
    first = FEBRUARY + HOUR
    assert seen == [
        (1, first + 3 * DAY, "past_due"),
        (2, first + 8 * DAY, "past_due"),
        (3, first + 15 * DAY, "past_due"),
        (4, None, "unpaid"),
    ]
    assert shop.v1.customers.retrieve(customer.id).delinquent is True


def test_unpaid_subscriptions_make_drafts_that_nobody_is_charged_for(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.card(customer, FAILS)
    shop.advance(START + 60 * DAY)
    assert shop.status(subscription) == "unpaid"
    latest = shop.invoices(customer)[-1]
    assert (latest.status, latest.auto_advance, latest.attempt_count) == ("draft", False, 0)


def test_a_new_card_and_the_next_retry_recover(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.card(customer, FAILS)
    shop.advance(FEBRUARY + HOUR)
    assert shop.status(subscription) == "past_due"
    shop.card(customer, "pm_card_visa")
    shop.advance(FEBRUARY + HOUR + 3 * DAY)
    invoice = shop.invoices(customer)[-1]
    assert (invoice.status, shop.status(subscription)) == ("paid", "active")
    assert shop.v1.customers.retrieve(customer.id).delinquent is False
    assert kinds(shop, invoice.id) == [
        "invoice.created",
        "invoice.finalized",
        "invoice.payment_failed",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


def test_paying_by_hand_recovers_at_once(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.card(customer, FAILS)
    shop.advance(FEBRUARY + HOUR)
    invoice = shop.invoices(customer)[-1]
    with pytest.raises(stripe.CardError) as refused:
        shop.v1.invoices.pay(invoice.id)
    assert (refused.value.code, refused.value.error.decline_code) == ("card_declined", "generic_decline")
    method = shop.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    assert shop.v1.invoices.pay(invoice.id, {"payment_method": method.id}).status == "paid"
    assert shop.status(subscription) == "active"
    assert shop.v1.invoices.retrieve(invoice.id).attempt_count == 1


def test_the_last_retry_cancels_where_it_is_set_so(canceling):
    customer = canceling.customer()
    subscription = canceling.subscribe(customer)
    canceling.card(customer, FAILS)
    canceling.advance(FEBRUARY + HOUR + 3 * DAY)
    ended = canceling.v1.subscriptions.retrieve(subscription.id)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "payment_failed")
    invoice = canceling.invoices(customer)[-1]
    assert (invoice.status, invoice.auto_advance, invoice.next_payment_attempt) == ("open", False, None)


@pytest.mark.parametrize("card", [FAILS, None])
def test_a_first_invoice_that_is_not_paid_has_23_hours(shop, card):
    customer = shop.customer(card)
    subscription = shop.subscribe(customer)
    assert subscription.status == "incomplete"
    shop.advance(START + 23 * HOUR)
    assert shop.status(subscription) == "incomplete_expired"
    assert shop.invoices(customer)[0].status == "void"


def test_all_or_nothing_leaves_no_subscription(shop):
    customer = shop.customer(FAILS)
    with pytest.raises(stripe.CardError):
        shop.subscribe(customer, payment_behavior="error_if_incomplete")
    assert shop.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data == []
    assert shop.invoices(customer) == []


def test_an_incomplete_subscription_is_paid_through_its_invoice(shop):
    customer = shop.customer(card=None)
    subscription = shop.subscribe(customer, payment_behavior="default_incomplete", expand=["latest_invoice.payments"])
    intent = subscription.latest_invoice.payments.data[0].payment.payment_intent
    method = shop.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    assert shop.v1.payment_intents.confirm(intent, {"payment_method": method.id}).status == "succeeded"
    assert shop.status(subscription) == "active"


def test_a_card_without_funds_is_not_even_kept(shop):
    customer = shop.customer(card=None)
    with pytest.raises(stripe.CardError) as refused:
        shop.v1.payment_methods.attach("pm_card_visa_chargeDeclinedInsufficientFunds", {"customer": customer.id})
    assert refused.value.error.decline_code == "insufficient_funds"
    assert shop.v1.payment_methods.list({"customer": customer.id}).data == []


def test_only_test_cards_are_taken_and_their_numbers_not_kept(sandbox, shop):
    with pytest.raises(stripe.CardError):
        shop.v1.payment_methods.create({"type": "card", "card": {"number": "4111111111111111"}})
    kept = shop.v1.payment_methods.create(
        {"type": "card", "card": {"number": "4000000000000341", "exp_month": 1, "exp_year": 2030, "cvc": "111"}}
    )
    assert kept.card.last4 == "0341"
    assert b"4000000000000341" not in sandbox.file.read_bytes()


def test_a_setup_intent_keeps_a_card(shop):
    customer = shop.customer(card=None)
    intent = shop.v1.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True})
    assert intent.status == "succeeded"
    assert shop.v1.payment_methods.retrieve(intent.payment_method).customer == customer.id
    waiting = shop.v1.setup_intents.create(
        {"customer": customer.id, "payment_method": "pm_card_authenticationRequiredOnSetup", "confirm": True}
    )
    assert (waiting.status, waiting.next_action.type) == ("requires_action", "redirect_to_url")
    assert shop.v1.setup_intents.cancel(waiting.id).status == "canceled"


def test_refunds_add_up_to_the_charge_and_no_further(shop):
    customer = shop.customer()
    shop.subscribe(customer)
    charge = shop.v1.charges.list({"customer": customer.id}).data[0]
    shop.v1.refunds.create({"charge": charge.id, "amount": 1_000, "reason": "requested_by_customer"})
    part = shop.v1.charges.retrieve(charge.id, {"expand": ["refunds"]})
    assert (part.amount_refunded, part.refunded, len(part.refunds.data)) == (1_000, False, 1)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        shop.v1.refunds.create({"charge": charge.id, "amount": 3_901})
    shop.v1.refunds.create({"payment_intent": charge.payment_intent})
    assert shop.v1.charges.retrieve(charge.id).refunded is True
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.refunds.create({"charge": charge.id})
    assert refused.value.code == "charge_already_refunded"
    assert "charge.refunded" in kinds(shop, charge.id)


def test_credit_notes_reduce_what_is_open_and_give_back_what_was_paid(shop):
    customer = shop.customer()
    shop.subscribe(customer)
    invoice = shop.invoices(customer)[0]
    note = shop.v1.credit_notes.create(
        {"invoice": invoice.id, "amount": 900, "credit_amount": 400, "refund_amount": 500, "reason": "order_change"}
    )
    assert (note.number, note.total, note.type) == (f"{invoice.number}-CN-01", 900, "post_payment")
    assert shop.v1.customers.retrieve(customer.id).balance == -400
    assert shop.v1.charges.list({"customer": customer.id}).data[0].amount_refunded == 500
    draft = shop.v1.invoices.create({"customer": customer.id})
    shop.v1.invoice_items.create({"customer": customer.id, "invoice": draft.id, "amount": 3_000, "currency": "usd"})
    opened = shop.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
    assert opened.amount_due == 2_600
    line = opened.lines.data[0]
    shop.v1.credit_notes.create(
        {
            "invoice": draft.id,
            "lines": [{"type": "invoice_line_item", "invoice_line_item": line.id, "amount": 1_000}],
        }
    )
    assert shop.v1.invoices.retrieve(draft.id).amount_due == 1_600
    assert shop.v1.invoices.pay(draft.id).amount_paid == 1_600
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.credit_notes.create({"invoice": draft.id, "amount": 5_000, "credit_amount": 5_000})


def test_an_invoice_that_is_sent_waits_until_it_is_due(shop):
    customer = shop.customer(card=None)
    subscription = shop.subscribe(customer, shop.base, collection_method="send_invoice", days_until_due=14)
    invoice = shop.invoices(customer)[0]
    assert (subscription.status, invoice.status, invoice.due_date) == ("active", "open", START + 14 * DAY)
    shop.advance(START + 14 * DAY)
    assert shop.status(subscription) == "past_due"
    shop.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    paid = shop.v1.invoices.retrieve(invoice.id)
    assert (paid.status, paid.amount_paid_off_stripe, shop.status(subscription)) == ("paid", 4_900, "active")
