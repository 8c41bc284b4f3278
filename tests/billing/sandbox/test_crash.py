"""Killed without warning, at any point: what was answered stays, what was not can be repeated, time goes on."""

import os
import random
import threading

import pytest
import stripe

from tests.billing.sandbox.rig import DAY, HOUR, SECRET, START, Receiver, Sandbox, Shop, wait

KILLS = int(os.environ.get("SANDBOX_KILLS", "12"))


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def mortal(tmp_path, receiver):
    sandbox = Sandbox(tmp_path, SANDBOX_WEBHOOK_URL=receiver.url, SANDBOX_WEBHOOK_SECRET=SECRET)
    yield sandbox
    sandbox.stop()


def until_answered(sandbox, ask):
    """Asks again, as a client would with an idempotency key, until there is an answer."""
    while True:
        try:
            return ask(sandbox.client)
        except stripe.APIConnectionError:
            wait(lambda: sandbox.process.poll() is None)


@pytest.mark.slow
def test_killed_between_any_two_steps_nothing_is_lost_or_done_twice(mortal, receiver):
    shop = Shop(mortal)
    customer = shop.customer()
    shop.subscribe(customer)
    done, kills = threading.Event(), 0
    dice = random.Random(7)

    def reaper():
        nonlocal kills
        while kills < KILLS and not done.wait(dice.uniform(0.02, 0.3)):
            mortal.kill()
            mortal.start()
            kills += 1

    thread = threading.Thread(target=reaper)
    thread.start()
    sent = 0
    while thread.is_alive() or sent < 200:
        identifier = f"row-{sent}"

        def send(v1, identifier=identifier):
            said = {
                "event_name": shop.meter.event_name,
                "payload": {"stripe_customer_id": customer.id, "value": "10"},
                "identifier": identifier,
            }
            try:
                v1.billing.meter_events.create(said)
            except stripe.InvalidRequestError as error:
                if error.code != "duplicate_meter_event":
                    raise

        until_answered(mortal, send)
        if sent % 20 == 0:
            key = {"idempotency_key": f"item-{sent}"}
            item = {"customer": customer.id, "amount": 7, "currency": "usd"}
            until_answered(mortal, lambda v1, item=item, key=key: v1.invoice_items.create(item, key))
        sent += 1
    done.set()
    thread.join()
    shop.v1 = mortal.client
    assert kills == KILLS
    items = list(shop.v1.invoice_items.list({"customer": customer.id, "limit": 100}).auto_paging_iter())
    assert len(items) == (sent + 19) // 20
    shop.advance(START + 31 * DAY + 2 * HOUR)
    line = next(line for line in shop.invoices(customer)[-1].lines.data if line.quantity == 10 * sent)
    assert line.amount == (10 * sent * 5 + 500) // 1_000
    wait(lambda: not any(one.pending_webhooks for one in shop.v1.events.list({"limit": 100}).auto_paging_iter()))
    told = {event["id"] for event in receiver.events}
    assert {event.id for event in shop.v1.events.list({"limit": 100}).auto_paging_iter()} <= told


@pytest.mark.slow
def test_a_clock_killed_while_advancing_goes_on_and_bills_each_month_once(mortal):
    shop = Shop(mortal)
    customers = [shop.customer() for _ in range(5)]
    for customer in customers:
        shop.subscribe(customer)
    end = START + 365 * DAY + 2 * HOUR
    shop.v1.test_helpers.test_clocks.advance(shop.clock.id, {"frozen_time": end})
    seen = set()
    for _ in range(KILLS):
        seen.add(mortal.client.test_helpers.test_clocks.retrieve(shop.clock.id).status)
        mortal.kill()
        mortal.start()
    shop.v1 = mortal.client
    wait(lambda: shop.v1.test_helpers.test_clocks.retrieve(shop.clock.id).status == "ready")
    assert "advancing" in seen
    for customer in customers:
        invoices = shop.invoices(customer)
        assert [invoice.period_end for invoice in invoices] == sorted({invoice.period_end for invoice in invoices})
        assert [(invoice.total, invoice.status) for invoice in invoices] == [(4_900, "paid")] * 13
        charges = list(shop.v1.charges.list({"customer": customer.id, "limit": 100}).auto_paging_iter())
        assert len(charges) == 13
