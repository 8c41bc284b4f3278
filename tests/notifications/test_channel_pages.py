"""Connecting, confirming and leaving channels, and the log, in the portal."""

import pytest
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.notifications.channel_services import webhook_keys
from apps.notifications.codes import code_of
from apps.notifications.models import Channel, Delivery
from apps.notifications.selectors import channels_of
from apps.plans.services import plan_set
from tests.factories import notice_make
from tests.notifications.receiver import Receiver
from tests.notifications.webhooks import webhook_make

HOOK = {"name": "Production", "url": "https://hooks.example.com/a/secret/path", "kinds": ["quota.warning"]}


@pytest.fixture
def base(alice):
    return f"/t/{alice.slug}/notifications"


def held(alice):
    with tenant_scope(alice.tenant_id):
        return channels_of(alice.tenant_id)


def test_a_webhook_is_connected_and_its_key_can_be_read(alices, alice, base):
    assert "No channels yet" in alices.get(f"{base}/channels").content.decode()
    made = alices.post(f"{base}/channels/new/webhook", HOOK)
    assert made.status_code == 302
    page = alices.get(made["Location"])
    with tenant_scope(alice.tenant_id):
        [key] = webhook_keys(tenant_id=alice.tenant_id, channel_id=held(alice)[0].id)
    text = page.content.decode()
    assert key["key"] in text
    assert "no-store" in page["Cache-Control"]
    assert "Not confirmed" in text
    assert "secret/path" not in text
    assert "https://hooks.example.com/…" in alices.get(f"{base}/channels").content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [("url", "https://10.0.0.1/"), ("url", "http://example.com/"), ("url", ""), ("name", "x" * 81)],
)
def test_a_wrong_channel_names_the_field_and_keeps_the_rest(field, value, alices, alice, base):
    answer = alices.post(f"{base}/channels/new/webhook", HOOK | {field: value})
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert held(alice) == []


def test_without_the_plan_the_page_says_which_has_it_and_a_post_does_nothing(alices, alice, base):
    plan_set(tenant_id=alice.tenant_id, code="startup")
    assert "The Professional plan has them" in alices.get(f"{base}/channels/new/webhook").content.decode()
    assert alices.post(f"{base}/channels/new/webhook", HOOK).status_code == 422
    assert held(alice) == []


@pytest.mark.django_db
def test_an_address_is_confirmed_by_the_code_that_came_there(alices, alice, base, run, mailoutbox):
    values = {"name": "On call", "address": "oncall@alice.example", "kinds": ["quota.warning"], "quiet_from": "22:00"}
    assert alices.post(f"{base}/channels/new/email", values).status_code == 422  # quiet hours without an end
    made = alices.post(f"{base}/channels/new/email", values | {"quiet_until": "07:00"})
    url = made["Location"]
    notice_make(alice.tenant_id)
    run()
    [code] = [mail.subject[:6] for mail in mailoutbox if mail.to == ["oncall@alice.example"]]
    wrong = "000000" if code != "000000" else "111111"
    assert "That is not the code" in alices.post(f"{url}/confirm", {"code": wrong}, follow=True).content.decode()
    assert "is confirmed" in alices.post(f"{url}/confirm", {"code": f" {code} "}, follow=True).content.decode()
    assert (held(alice)[0].quiet_from, held(alice)[0].quiet_until) == (1_320, 420)
    assert 'value="22:00"' in alices.get(url).content.decode()
    before = len(mailoutbox)
    notice_make(alice.tenant_id, dedupe_key="later")
    with tenant_scope(alice.tenant_id):
        Channel.objects.update(quiet_from=None, quiet_until=None)
    run()
    assert ["oncall@alice.example"] in [mail.to for mail in mailoutbox[before:]]


def test_a_code_can_be_guessed_five_times_and_ends(alices, alice, base):
    url = alices.post(f"{base}/channels/new/email", {"name": "x", "address": "a@b.example"})["Location"]
    with tenant_scope(alice.tenant_id):
        right = code_of(Channel.objects.get(is_member=False))
    for _ in range(5):
        alices.post(f"{url}/confirm", {"code": "000000" if right != "000000" else "111111"})
    alices.post(f"{url}/confirm", {"code": right})
    assert held(alice)[0].verified_at is None
    with tenant_scope(alice.tenant_id):
        Channel.objects.filter(is_member=False).update(code_tries=0, code_until=timezone.now())
    alices.post(f"{url}/confirm", {"code": right})
    assert held(alice)[0].verified_at is None


def test_strangers_cannot_be_flooded_with_codes(alices, alice, base, monkeypatch):
    monkeypatch.setattr("apps.notifications.channel_services.ASKED_A_DAY", 2)
    answers = [
        alices.post(f"{base}/channels/new/email", {"name": "x", "address": f"{number}@b.example"}).status_code
        for number in range(3)
    ]
    assert answers == [302, 302, 422]


def test_a_channel_is_changed_rotated_switched_on_and_deleted(alices, alice, base):
    hook = webhook_make(alice, "https://hooks.example.com/")
    url = f"{base}/channels/{hook.id}"
    assert alices.post(url, {"name": "Renamed", "kinds": ["key.leaked"]}).status_code == 302
    assert (held(alice)[0].name, held(alice)[0].kinds) == ("Renamed", ("key.leaked",))
    assert "both sign for 24 hours" in alices.get(url).content.decode()
    alices.post(f"{url}/rotate")
    assert "Show the key before" in alices.get(url).content.decode()
    with tenant_scope(alice.tenant_id):
        Channel.objects.filter(id=hook.id).update(disabled_at=timezone.now(), disabled_reason="HTTP 500.", failures=10)
    assert "after 10 failures in a row: HTTP 500." in alices.get(url).content.decode()
    alices.post(f"{url}/enable")
    assert held(alice)[0].disabled_at is None
    alices.post(f"{url}/move", {"url": "https://other.example.com/"})
    assert held(alice)[0].label == "https://other.example.com/…"
    assert "Delete Renamed?" in alices.get(f"{url}/delete").content.decode()
    alices.post(f"{url}/delete")
    assert held(alice) == []


@pytest.mark.django_db
def test_the_log_shows_what_was_answered_and_delivers_again(alices, alice, base, run, settings):
    settings.OUTBOUND_ALLOWED = ["127.0.0.1/32"]
    receiver = Receiver()
    hook = webhook_make(alice, receiver.url)
    receiver.answers = [(410, {}, b"<b>no more</b>")]
    notice_make(alice.tenant_id)
    run()
    with tenant_scope(alice.tenant_id):
        delivery = Delivery.objects.get(channel_id=hook.id)
    failed = alices.get(f"{base}/log?state=failed").content.decode()
    assert delivery.message_id in failed
    assert "it wants no more" in failed
    assert delivery.message_id not in alices.get(f"{base}/log?state=sent").content.decode()
    assert delivery.message_id in alices.get(f"{base}/log?channel={hook.id}").content.decode()
    page = alices.get(f"{base}/log/{delivery.id}").content.decode()
    assert "&lt;b&gt;no more&lt;/b&gt;" in page
    assert "&quot;type&quot;: &quot;quota.warning&quot;" in page
    again = f"{base}/log/{delivery.id}/again"
    assert "switch it on first" in alices.post(again, follow=True).content.decode()
    alices.post(f"{base}/channels/{hook.id}/enable")
    assert "on its way again" in alices.post(again, follow=True).content.decode()
    run()
    assert "Delivered" in alices.get(f"{base}/log/{delivery.id}").content.decode()
    assert len(receiver.requests) == 2
    receiver.close()


def test_the_catalogue_has_every_event_with_an_example(anonymous, db):
    from apps.notifications.kinds import LISTED

    page = anonymous.get("/docs/webhooks").content.decode()
    for kind in LISTED:
        assert f'id="{kind.code}"' in page
    assert "&quot;threshold&quot;: 90" in page
