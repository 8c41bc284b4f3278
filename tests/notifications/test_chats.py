"""Slack, Teams, PagerDuty and SMS, by what their documentation says they take and answer."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from apps.core.errors import Invalid
from apps.core.scope import tenant_scope
from apps.notifications.channel_services import Settings, channel_create, code_confirm
from apps.notifications.channels.base import Envelope
from apps.notifications.channels.table import MEDIUMS
from apps.notifications.house.models import SmsUse
from apps.notifications.kinds import KINDS
from apps.notifications.models import Channel, Delivery
from apps.notifications.rendering import message_make
from apps.tenants.selectors import TenantInfo
from tests.factories import notice_make
from tests.notifications.receiver import Receiver

AT = datetime(2026, 11, 24, 10, 4, tzinfo=UTC)
TENANT = TenantInfo(7, "acme", "Acme & <Sons>", "UTC", 1, None, AT)
CONTRACTS = Path(__file__).with_name("contracts")
MOBILE = "+4915112345678"


@pytest.fixture
def receiver(settings):
    made = Receiver()
    settings.OUTBOUND_ALLOWED = ["127.0.0.1/32"]
    settings.PAGERDUTY_URL = f"http://127.0.0.1:{made.port}/v2/enqueue"
    settings.TWILIO_API_BASE = f"http://127.0.0.1:{made.port}"
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, settings.TWILIO_FROM = "AC1", "token", "+15005550006"
    yield made
    made.close()


def message(kind="quota.warning", number=1, **context):
    definition = KINDS[kind]
    return message_make(
        message_id=f"msg_{number}", kind=definition, tenant=TENANT, context={**definition.example, **context}, at=AT
    )


def secret_of(medium, receiver):
    values = {
        "slack": {"url": receiver.url}, "teams": {"url": receiver.url}, "pagerduty": {"routing_key": "k" * 32},
        "sms": {"address": MOBILE},
    }[medium]  # fmt: skip
    return MEDIUMS[medium].connect(values).secret


def send(medium, receiver, *messages, code=""):
    envelope = Envelope(1, 1, 1, messages or (message(),), "Chat", "", secret_of(medium, receiver), code)
    return MEDIUMS[medium].sender.send(envelope)


def answers():
    for name, medium in (("slack", "slack"), ("teams", "teams"), ("pagerduty", "pagerduty"), ("twilio", "sms")):
        for answer in json.loads((CONTRACTS / f"{name}.json").read_text())["answers"]:
            yield pytest.param(medium, answer, id=f"{name} {answer['status']} {answer['body'][:24]}")


@pytest.mark.parametrize(("medium", "answer"), list(answers()))
def test_an_answer_of_the_contract_means(medium, answer, receiver):
    receiver.answers = [(answer["status"], answer.get("headers", {}), answer["body"].encode())]
    outcome = send(medium, receiver)
    assert (outcome.result.value, outcome.status_code) == (answer["result"], answer["status"])
    if "after_s" in answer:
        assert outcome.after == timedelta(seconds=answer["after_s"])


def test_slack_gets_blocks_in_which_nothing_of_ours_is_markup(receiver):
    send("slack", receiver, message("limit.violations", caller="<!channel> & co"))
    body = json.loads(receiver.requests[0].body)
    assert receiver.requests[0].headers["Content-Type"] == "application/json"
    [block] = body["blocks"]
    assert "&lt;!channel&gt; &amp; co" in block["text"]["text"]
    assert "<!channel>" not in str(body)
    assert "|See who is hitting you>" in block["text"]["text"]
    assert body["text"] == "5,204 checks denied by user-rpm in 10 minutes"


def test_held_notices_are_one_message(receiver):
    for medium in ("slack", "teams", "sms"):
        send(medium, receiver, message(number=1), message("key.expiring", number=2))
    slack, teams, sms = receiver.requests
    assert len(json.loads(slack.body)["blocks"]) == 2
    assert json.loads(slack.body)["text"] == "2 notices from the quiet hours of Acme &amp; &lt;Sons&gt;"
    assert len(json.loads(teams.body)["attachments"][0]["content"]["body"]) == 3
    assert "2 notices from the quiet hours" in parse_qs(sms.body.decode())["Body"][0]


def test_teams_gets_an_adaptive_card(receiver):
    send("teams", receiver)
    [attachment] = json.loads(receiver.requests[0].body)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["body"][0]["text"].startswith("Quota 90 % used")
    assert attachment["content"]["actions"][0]["url"].endswith("/t/acme/plan")


def test_pagerduty_gets_an_event_whose_repetitions_are_one_incident(receiver):
    for _ in range(2):
        send("pagerduty", receiver, message("service.degraded"))
    first, second = (json.loads(request.body) for request in receiver.requests)
    assert receiver.requests[0].path == "/v2/enqueue"
    assert first == second
    assert (first["routing_key"], first["event_action"], first["dedup_key"]) == ("k" * 32, "trigger", "msg_1")
    assert first["payload"]["severity"] == "critical"
    assert first["payload"]["custom_details"]["degraded"] == 1_204


def test_twilio_gets_a_form_and_the_text_fits(receiver):
    send("sms", receiver, message("system.alert", title="x" * 400))
    [request] = receiver.requests
    assert request.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"AC1:token"
    form = {name: value[0] for name, value in parse_qs(request.body.decode()).items()}
    assert (form["To"], form["From"]) == (MOBILE, "+15005550006")
    assert len(form["Body"]) <= 300
    assert form["Body"].endswith("… http://127.0.0.1:8000/t/acme/")


def test_an_sms_that_may_have_arrived_is_unknown_and_one_that_cannot_have_is_tried_again(
    receiver, settings, monkeypatch
):
    monkeypatch.setattr("apps.notifications.outbound.TOTAL_S", 15)
    settings.TWILIO_API_BASE = "http://127.0.0.1:1"  # nobody listens on port 1, and it is not let through either
    assert send("sms", receiver).result.value == "retry"
    settings.TWILIO_API_BASE = f"http://127.0.0.1:{receiver.port}"
    receiver.answers = [(99, {}, b"")]  # no HTTP status
    assert send("sms", receiver).result.value == "unknown"


@pytest.mark.parametrize(
    ("medium", "values"),
    [
        ("slack", {"url": "https://example.com/services/x"}),
        ("slack", {"url": "https://hooks.slack.com.evil.example/x"}),
        ("teams", {"url": "https://logic.azure.com.evil.example/x"}),
        ("teams", {"url": "https://evil-logic.azure.com/"}),
        ("pagerduty", {"routing_key": "short"}),
        ("sms", {"address": "12345"}),
        ("sms", {"address": "+1 900 555 0199"}),  # premium rate
        ("sms", {"address": "+1 876 555 0123"}),  # Jamaica: +1, and another country
        ("sms", {"address": "+882 13 300655"}),  # satellites
        ("sms", {"address": "+49 30 901820"}),  # a fixed line
    ],
)
def test_what_is_not_theirs_is_refused(medium, values):
    with pytest.raises(Invalid):
        MEDIUMS[medium].connect(values)


@pytest.mark.parametrize(
    ("medium", "values"),
    [
        ("slack", {"url": "https://hooks.slack.com/services/T0/B0/x"}),
        ("teams", {"url": "https://prod-12.westeurope.logic.azure.com:443/workflows/x?sig=y"}),
        ("sms", {"address": "+49 1511 2345678"}),
    ],
)
def test_what_is_theirs_is_kept_and_its_label_tells_no_secret(medium, values):
    connected = MEDIUMS[medium].connect(values)
    assert connected.secret
    assert "sig=" not in connected.label
    assert "services" not in connected.label


def connect(alice, medium, values, clock):
    with tenant_scope(alice.tenant_id):
        return channel_create(
            tenant_id=alice.tenant_id, medium=medium, values=values, given=Settings("Night"), owner_id=alice.user_id,
            by=alice.email, now=clock.now - timedelta(seconds=30),
        )  # fmt: skip


@pytest.mark.django_db
def test_a_phone_is_confirmed_by_a_code_and_then_hears_of_what_is_loud(alice, receiver, run, clock):
    made = connect(alice, "sms", {"address": MOBILE}, clock)
    run()
    code = parse_qs(receiver.requests[0].body.decode())["Body"][0][:6]
    with tenant_scope(alice.tenant_id):
        assert code_confirm(tenant_id=alice.tenant_id, channel_id=made.id, code=code, now=clock.now)
        assert MOBILE not in str(Channel.objects.get(id=made.id).__dict__)
    notice_make(alice.tenant_id)
    notice_make(alice.tenant_id, kind="quota.exceeded")
    run()
    assert len(receiver.requests) == 2
    assert "Quota used up" in parse_qs(receiver.requests[1].body.decode())["Body"][0]


@pytest.mark.django_db
@pytest.mark.parametrize("limit", ["SMS_A_NUMBER", "SMS_A_TENANT", "SMS_A_COUNTRY"])
def test_a_number_a_tenant_and_a_country_have_so_many_sms_a_day(limit, alice, receiver, run, clock, settings):
    setattr(settings, limit, 2)
    made = connect(alice, "sms", {"address": MOBILE}, clock)
    with tenant_scope(alice.tenant_id):
        Channel.objects.filter(id=made.id).update(verified_at=clock.now)
    for number in range(3):
        notice_make(alice.tenant_id, kind="quota.exceeded", dedupe_key=str(number))
    run()
    assert len(receiver.requests) == 2
    with tenant_scope(alice.tenant_id):
        assert Delivery.objects.filter(channel_id=made.id, status="failed", reason__contains="today").count() == 2
    assert MOBILE not in str(list(SmsUse.objects.values_list("scope", flat=True)))
    clock.pass_(days=1)
    notice_make(alice.tenant_id, kind="quota.exceeded", dedupe_key="tomorrow")
    run()
    assert len(receiver.requests) == 3


@pytest.mark.django_db
def test_a_slack_channel_that_is_archived_is_switched_off(alice, receiver, run, clock):
    made = connect(alice, "slack", {"url": receiver.url}, clock)
    run()
    with tenant_scope(alice.tenant_id):
        assert Channel.objects.get(id=made.id).verified_at is not None
    receiver.answers = [(410, {}, b"channel_is_archived")]
    notice_make(alice.tenant_id)
    run()
    with tenant_scope(alice.tenant_id):
        off = Channel.objects.get(id=made.id)
    assert off.disabled_reason == "It answered 410: channel_is_archived."


def test_sms_is_offered_only_where_there_is_an_account(alices, alice, settings, receiver):
    page = f"/t/{alice.slug}/notifications/channels"
    assert "SMS" in alices.get(page).content.decode()
    settings.TWILIO_ACCOUNT_SID = ""
    assert "SMS" not in alices.get(page).content.decode()
    assert alices.get(f"{page}/new/sms").status_code == 404
