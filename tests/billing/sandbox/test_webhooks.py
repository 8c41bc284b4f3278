"""Webhooks: signed, until somebody says yes, over restarts too; and events to read."""

import urllib.request

import pytest

from tests.billing.sandbox.rig import SECRET, Receiver, Sandbox, Shop, wait


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def hooked(tmp_path, receiver):
    sandbox = Sandbox(tmp_path, SANDBOX_WEBHOOK_URL=receiver.url, SANDBOX_WEBHOOK_SECRET=SECRET)
    yield sandbox
    if sandbox.process.poll() is None:
        sandbox.stop()


def pending(sandbox):
    return [one for one in sandbox.client.events.list({"limit": 100}).auto_paging_iter() if one.pending_webhooks]


def test_every_change_is_told_and_signed(hooked, receiver):
    shop = Shop(hooked)
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    wait(lambda: not pending(hooked))
    told = {event["id"]: event for event in receiver.events}
    listed = list(hooked.client.events.list({"limit": 100}).auto_paging_iter())
    assert set(told) == {event.id for event in listed}
    assert receiver.invalid == 0
    assert {
        "customer.created",
        "payment_method.attached",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.succeeded",
        "charge.succeeded",
        "invoice.paid",
        "customer.subscription.updated",
    } <= set(receiver.types())
    last = [e for e in receiver.events if e["type"] == "customer.subscription.updated"]
    active = [e for e in last if e["data"]["previous_attributes"].get("status") == "incomplete"]
    assert active[0]["data"]["object"]["status"] == "active"
    assert active[0]["data"]["object"]["id"] == subscription.id
    assert active[0]["request"]["id"].startswith("req_")


def test_what_is_refused_comes_again(hooked, receiver):
    receiver.refuse = 3
    hooked.client.customers.create({"name": "Ada"})
    hooked.client.customers.create({"name": "Bob"})
    wait(lambda: sorted(receiver.types()) == ["customer.created"] * 2)
    assert len(receiver.refused) == 3


def test_what_was_not_delivered_outlives_the_process(hooked, receiver):
    receiver.refuse = 10_000
    made = hooked.client.customers.create({"name": "Ada"})
    wait(lambda: receiver.refused)
    hooked.kill()
    receiver.refuse = 0
    hooked.start()
    wait(lambda: receiver.events)
    assert receiver.events[0]["data"]["object"]["id"] == made.id
    assert receiver.invalid == 0


def test_endpoints_made_over_the_api_have_their_own_secret_and_choose(sandbox):
    made = sandbox.client.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9/x", "enabled_events": ["coupon.created"]}
    )
    receiver = Receiver(secret=made.secret)
    sandbox.client.webhook_endpoints.update(made.id, {"url": receiver.url})
    sandbox.client.customers.create({"name": "Nobody told"})
    coupon = sandbox.client.coupons.create({"amount_off": 100, "currency": "usd", "duration": "once"})
    wait(lambda: receiver.events)
    sandbox.client.webhook_endpoints.delete(made.id)
    receiver.close()
    assert [event["data"]["object"]["id"] for event in receiver.events] == [coupon.id]
    assert receiver.invalid == 0
    assert "secret" not in sandbox.client.webhook_endpoints.list().to_dict()


def test_a_redirect_is_no_yes(sandbox):
    made = sandbox.client.webhook_endpoints.create({"url": f"{sandbox.url}/nowhere", "enabled_events": ["*"]})
    coupon = sandbox.client.coupons.create({"amount_off": 100, "currency": "usd", "duration": "once"})
    event = sandbox.client.events.list({"type": "coupon.created", "limit": 1}).data[0]
    assert (event.data.object["id"], event.pending_webhooks) == (coupon.id, 1)
    sandbox.client.webhook_endpoints.delete(made.id)


def test_events_can_be_read_by_type_and_time(shop):
    shop.customer(card=None)
    newest = shop.v1.events.list({"types": ["customer.created"], "limit": 1}).data[0]
    assert newest.created == shop.now
    assert shop.v1.events.retrieve(newest.id).data.object["email"] == "ada@example.com"
    later = shop.v1.events.list({"type": "customer.*", "created": {"gt": shop.now, "lt": shop.now + 5}})
    assert later.data == []


def test_the_process_says_where_it_is(sandbox):
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{sandbox.url}/")
    with missing.value as answer:
        assert "no money moves" in answer.read().decode()
