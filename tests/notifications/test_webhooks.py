"""Outgoing webhooks as a receiver sees them."""

import json
import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction
from standardwebhooks import Webhook, WebhookVerificationError

from apps.core.errors import Conflict, Invalid
from apps.core.scope import tenant_scope
from apps.notifications.channel_services import (
    PlanForbids,
    channel_enable,
    confirmation_ask,
    redeliver,
    webhook_keys,
    webhook_move,
    webhook_rotate,
)
from apps.notifications.channels.webhook import retry_after
from apps.notifications.models import Channel, Delivery
from apps.plans.services import plan_set
from tests.browser.rig import ROOT
from tests.factories import notice_make
from tests.notifications.receiver import Receiver
from tests.notifications.webhooks import webhook_make

JS = Path(__file__).with_name("js")
pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings):
    settings.OUTBOUND_ALLOWED = ["127.0.0.1/32"]
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def hook(alice, receiver):
    return webhook_make(alice, receiver.url)


def within(member, service, **arguments):
    with tenant_scope(member.tenant_id):
        return service(tenant_id=member.tenant_id, **arguments)


def keys(alice, hook):
    return [entry["key"] for entry in within(alice, webhook_keys, channel_id=hook.id)]


def hooked(alice, hook):
    with tenant_scope(alice.tenant_id):
        return list(Delivery.objects.filter(channel_id=hook.id).order_by("id"))


def channel(alice, hook):
    with tenant_scope(alice.tenant_id):
        return Channel.objects.get(id=hook.id)


def test_a_delivery_verifies_with_the_official_package(alice, hook, receiver, run):
    notice_make(alice.tenant_id)
    run()
    [request] = receiver.requests
    event = Webhook(keys(alice, hook)[0]).verify(request.body, request.headers)
    assert event["type"] == "quota.warning"
    assert event["data"]["threshold"] == 90
    assert event["data"]["tenant"] == "alice"
    assert event["timestamp"].endswith("Z")
    assert request.headers["webhook-id"] == hooked(alice, hook)[0].message_id
    with pytest.raises(WebhookVerificationError):
        Webhook(keys(alice, hook)[0]).verify(request.body + b" ", request.headers)


def test_both_keys_verify_during_a_rotation_and_the_old_one_ends(alice, hook, receiver, run, monkeypatch):
    old = keys(alice, hook)[0]
    within(alice, webhook_rotate, channel_id=hook.id, now=channel(alice, hook).created_at)
    new, still = keys(alice, hook)
    assert still == old
    notice_make(alice.tenant_id)
    run()
    assert len(receiver.requests[0].headers["webhook-signature"].split()) == 2
    for key in (old, new):
        assert Webhook(key).verify(receiver.requests[0].body, receiver.requests[0].headers)
    within(alice, webhook_rotate, channel_id=hook.id, now=channel(alice, hook).created_at - timedelta(days=2))
    notice_make(alice.tenant_id, dedupe_key="later")
    run()
    assert len(receiver.requests[1].headers["webhook-signature"].split()) == 1
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(receiver.requests[1].body, receiver.requests[1].headers)


def test_a_replay_older_than_five_minutes_is_refused_by_the_package(alice, hook, receiver, run, monkeypatch):
    notice_make(alice.tenant_id)
    real = time.time
    monkeypatch.setattr("apps.notifications.channels.webhook.time.time", lambda: real() - 301)
    run()
    monkeypatch.undo()
    with pytest.raises(WebhookVerificationError, match="old"):
        Webhook(keys(alice, hook)[0]).verify(receiver.requests[0].body, receiver.requests[0].headers)


@pytest.fixture(scope="session")
def javascript():
    """Asks the official JavaScript package; npm fetches it once a checkout, by the hashes of its lock."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs node and npm for the official JavaScript package")
    folder = ROOT / "var" / "cache" / "standardwebhooks"
    if not (folder / "node_modules" / "standardwebhooks").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(JS / name, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)

    def verify(*asked):
        done = subprocess.run(
            ["node", JS / "verify.mjs", folder], input=json.dumps(asked), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    return verify


def test_a_delivery_verifies_in_javascript_too_during_a_rotation_and_not_later(
    alice, hook, receiver, run, monkeypatch, javascript
):
    within(alice, webhook_rotate, channel_id=hook.id, now=channel(alice, hook).created_at)
    notice_make(alice.tenant_id)
    run()
    real = time.time
    monkeypatch.setattr("apps.notifications.channels.webhook.time.time", lambda: real() - 301)
    notice_make(alice.tenant_id, dedupe_key="old")
    run()
    monkeypatch.undo()
    fresh, replayed = ({"headers": one.headers, "body": one.body.decode()} for one in receiver.requests)
    new, old = keys(alice, hook)
    verdicts = javascript(
        fresh | {"key": new}, fresh | {"key": old}, fresh | {"key": new, "body": "{}"}, replayed | {"key": new}
    )
    assert verdicts[:2] == ["ok", "ok"]
    assert "signature" in verdicts[2]
    assert "old" in verdicts[3]


def test_failures_are_tried_again_from_5_s_to_24_h_with_the_same_id_and_then_it_is_off(
    alice, hook, receiver, run, clock, mailoutbox
):
    receiver.answers = [(500, {}, b"broken")] * 10
    notice_make(alice.tenant_id)
    notice_make(alice.tenant_id, dedupe_key="second")
    waits = []
    run()
    for _ in range(9):
        due = hooked(alice, hook)[0].due_at
        waits.append((due - clock.now).total_seconds())
        clock.now = due
        run()
    ideal = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert all(wait <= seen <= 1.2 * wait for wait, seen in zip(ideal, waits, strict=True))
    assert any(seen > wait + 0.1 for wait, seen in zip(ideal, waits, strict=True))
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1  # the second one waited
    assert len(receiver.requests) == 10
    off = channel(alice, hook)
    assert off.disabled_at is not None
    assert off.disabled_reason == "The receiver answered 500."
    run()
    [mail] = [mail for mail in mailoutbox if "switched off" in mail.subject]
    assert mail.to == ["alice@example.com"]
    assert "10 failures in a row" in mail.subject
    assert [row.status for row in hooked(alice, hook)] == ["failed", "skipped"]


def test_while_it_is_off_nothing_is_sent_but_kept_and_delivered_by_hand_once_it_is_on(
    alice, hook, receiver, run, clock
):
    with tenant_scope(alice.tenant_id):
        Channel.objects.filter(id=hook.id).update(disabled_at=clock.now, failures=10)
    notice_make(alice.tenant_id)
    run()
    [missed] = hooked(alice, hook)
    assert (missed.status, missed.reason, receiver.requests) == ("skipped", "The channel was off.", [])
    with pytest.raises(Conflict):
        within(alice, redeliver, delivery_id=missed.id, now=clock.now)
    within(alice, channel_enable, channel_id=hook.id)
    within(alice, redeliver, delivery_id=missed.id, now=clock.now)
    with pytest.raises(Conflict):
        within(alice, redeliver, delivery_id=missed.id, now=clock.now)
    run()
    within(alice, redeliver, delivery_id=missed.id, now=clock.now)
    run()
    assert [request.headers["webhook-id"] for request in receiver.requests] == [missed.message_id] * 2
    assert channel(alice, hook).failures == 0


def test_410_switches_it_off_at_once(alice, hook, receiver, run):
    receiver.answers = [(410, {}, b"gone")]
    notice_make(alice.tenant_id)
    run()
    assert channel(alice, hook).disabled_at is not None
    assert hooked(alice, hook)[0].status == "failed"


def test_retry_after_is_honoured(alice, hook, receiver, run, clock):
    receiver.answers = [(429, {"Retry-After": "3600"}, b"")]
    notice_make(alice.tenant_id)
    run()
    assert timedelta(seconds=3_599) <= hooked(alice, hook)[0].due_at - clock.now <= timedelta(seconds=3_600)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("999999999999", 86_400), ("Thu, 01 Jan 1970 00:02:00 GMT", 20), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)],
)
def test_retry_after_is_seconds_or_a_date_of_at_most_a_day(value, seconds):
    assert retry_after(value, 100) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5"])
def test_a_retry_after_that_says_nothing_is_left_out(value):
    assert retry_after(value, 100) is None


def test_a_redirect_is_a_failure(alice, hook, receiver, run):
    receiver.answers = [(301, {"Location": "http://169.254.169.254/"}, b"")]
    notice_make(alice.tenant_id)
    run()
    assert "redirects are not followed" in hooked(alice, hook)[0].reason


def test_events_of_an_endpoint_come_in_order_while_others_go_on(alice, hook, receiver, run, clock):
    other = Receiver()
    webhook_make(alice, other.url, name="Second")
    receiver.answers = [(500, {}, b"")] * 2
    for number in range(3):
        notice_make(alice.tenant_id, dedupe_key=str(number))
    run()
    assert len(other.requests) == 3
    clock.pass_(seconds=10)
    run()
    clock.pass_(seconds=400)
    run()
    ids = [row.message_id for row in hooked(alice, hook)]
    assert [request.headers["webhook-id"] for request in receiver.requests] == [ids[0]] * 3 + ids[1:]
    other.close()


def test_a_body_above_20_kb_is_not_sent(alice, hook, receiver, run):
    notice_make(alice.tenant_id, kind="system.alert", body="x" * 20_000)
    run()
    assert receiver.requests == []
    assert "the most is 20,000" in hooked(alice, hook)[0].reason


def test_it_gets_what_it_chose(alice, receiver, run):
    hook = webhook_make(alice, receiver.url, kinds=["key.expiring", "nonsense"])
    notice_make(alice.tenant_id)
    notice_make(alice.tenant_id, kind="key.expiring")
    run()
    assert [json.loads(request.body)["type"] for request in receiver.requests] == ["key.expiring"]
    assert hook.kinds == ("key.expiring",)


def test_a_test_message_confirms_it_and_nothing_comes_before(alice, receiver, run, clock):
    hook = webhook_make(alice, receiver.url, verified=False)
    notice_make(alice.tenant_id)
    receiver.answers = [(500, {}, b"")]
    run()
    assert channel(alice, hook).verified_at is None
    assert hooked(alice, hook)[0].status == "failed"
    with pytest.raises(Conflict, match="just now"):
        within(alice, confirmation_ask, channel_id=hook.id, by="me", now=hooked(alice, hook)[0].created_at)
    within(alice, confirmation_ask, channel_id=hook.id, by="me", now=clock.now)
    run()
    assert channel(alice, hook).verified_at is not None
    notice_make(alice.tenant_id, dedupe_key="now")
    run()
    types = [json.loads(request.body)["type"] for request in receiver.requests]
    assert types == ["channel.test", "channel.test", "quota.warning"]


def test_another_address_keeps_the_keys_and_is_confirmed_anew(alice, hook, receiver):
    before = keys(alice, hook)
    within(alice, webhook_move, channel_id=hook.id, url="https://hooks.example.com/new")
    assert keys(alice, hook) == before
    assert (channel(alice, hook).label, channel(alice, hook).verified_at) == ("https://hooks.example.com/…", None)
    with pytest.raises(Invalid):
        within(alice, webhook_move, channel_id=hook.id, url="https://10.0.0.1/")


def test_address_and_keys_are_sealed_at_rest(alice, hook, receiver):
    held = channel(alice, hook)
    assert receiver.url not in str(held.__dict__)
    assert keys(alice, hook)[0] not in str(held.__dict__)


@pytest.mark.parametrize("plan", ["free", "startup"])
def test_free_and_startup_have_no_webhooks_also_after_a_downgrade(plan, alice, hook, receiver, run):
    with transaction.atomic():
        plan_set(tenant_id=alice.tenant_id, code=plan)
    with pytest.raises(PlanForbids, match="Professional"):
        webhook_make(alice, receiver.url)
    notice_make(alice.tenant_id)
    run()
    assert receiver.requests == []
    assert hooked(alice, hook)[0].reason == "The plan has no webhooks."


def test_a_tenant_has_so_many_channels_and_no_more(alice, hook, receiver, settings):
    settings.MAX_CHANNELS = 1
    with pytest.raises(Conflict, match="1 channels already"):
        webhook_make(alice, receiver.url)
