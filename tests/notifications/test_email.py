"""Mails as a mail server gets them: a local one stands for the outside."""

import email
import re
import socket
from email import policy
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller

from apps.core.scope import tenant_scope
from apps.notifications.models import Channel
from tests.factories import notice_make

pytestmark = pytest.mark.django_db


class Sink:
    """`refuse` is what it answers to recipients instead of taking mail."""

    def __init__(self):
        self.mails, self.refuse = [], ""

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        parsed = email.message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(SimpleNamespace(to=envelope.rcpt_tos, parsed=parsed))
        return "250 OK"


@pytest.fixture
def sink(settings):
    sink = Sink()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, False
    settings.DEFAULT_FROM_EMAIL = "Ratelimiter <hello@rl.example>"
    yield sink
    controller.stop()


def part(mail, kind):
    return mail.parsed.get_body([kind]).get_content()


def test_a_mail_has_fact_and_number_one_button_and_a_way_to_stop(alice, sink, run, rows):
    notice_make(alice.tenant_id)
    run()
    [mail] = sink.mails
    assert mail.to == ["alice@example.com"]
    assert mail.parsed["Subject"] == "Quota 90 % used: 903,114 of 1,000,000 checks, 6 days left"
    assert mail.parsed["Message-ID"] == f"<msg_{rows.deliveries[0].id}@rl.example>"
    text, html = part(mail, "plain"), part(mail, "html")
    for words in ("903,114 of 1,000,000", "If nothing is done", "/t/alice/plan", "/t/alice/notifications"):
        assert words in text
        assert words in html
    assert html.count('class="mail-button"') == 1
    assert "prefers-color-scheme: dark" in html
    assert mail.parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.parsed["Auto-Submitted"] == "auto-generated"


def test_the_link_stops_such_mails_without_a_login_once_it_is_confirmed(alice, sink, run, anonymous, rows):
    notice_make(alice.tenant_id)
    run()
    link = re.search(r"<http://[^/]+(/[^>]+)>", sink.mails[0].parsed["List-Unsubscribe"])[1]
    assert link in part(sink.mails[0], "plain")
    page = anonymous.get(link).content.decode()
    assert "Stop these mails?" in page
    assert "Quota at 80 and 90 %" in page
    notice_make(alice.tenant_id, dedupe_key="after looking")
    run()
    assert len(sink.mails) == 2
    assert "Stopped" in anonymous.post(link, {"List-Unsubscribe": "One-Click"}).content.decode()
    notice_make(alice.tenant_id, dedupe_key="after stopping")
    notice_make(alice.tenant_id, kind="quota.exceeded")
    run()
    assert [row.kind for row in rows.deliveries] == ["quota.warning", "quota.warning", "quota.exceeded"]
    assert len(sink.mails) == 3


def test_a_forged_link_finds_nothing(alice, anonymous):
    assert anonymous.get("/mails/stop/WzEsMl0:abc:def").status_code == 404
    assert anonymous.post("/mails/stop/WzEsMl0:abc:def").status_code == 404


def test_mails_that_cannot_be_stopped_offer_no_link(alice, sink, run):
    notice_make(alice.tenant_id, kind="billing.payment_failed")
    run()
    assert sink.mails[0].parsed["List-Unsubscribe"] is None
    assert "cannot be switched off" in part(sink.mails[0], "plain")


@pytest.mark.parametrize(
    ("refusal", "status"),
    [("450 busy", "pending"), ("550 no such user", "failed"), ("421 going down", "pending")],
)
def test_a_mail_server_that_refuses_is_asked_again_only_where_that_helps(refusal, status, alice, sink, run, rows):
    sink.refuse = refusal
    notice_make(alice.tenant_id)
    run()
    assert rows.deliveries[0].status == status
    assert refusal[:3] in rows.deliveries[0].reason


def test_a_mail_server_that_is_away_is_asked_again(alice, run, rows, clock, settings, sink):
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    notice_make(alice.tenant_id)
    run()
    assert rows.deliveries[0].status == "pending"
    assert "could not be reached" in rows.deliveries[0].reason
    settings.EMAIL_PORT = port
    clock.pass_(seconds=60)
    run()
    assert rows.deliveries[0].status == "sent"
    assert len(sink.mails) == 1


def test_what_quiet_hours_held_is_one_mail(alice, sink, run, clock):
    notice_make(alice.tenant_id, dedupe_key="0")
    run()
    minute = clock.now.hour * 60 + clock.now.minute
    with tenant_scope(alice.tenant_id):
        Channel.objects.update(quiet_from=(minute - 1) % 1_440, quiet_until=(minute + 60) % 1_440)
    notice_make(alice.tenant_id, dedupe_key="1")
    notice_make(alice.tenant_id, kind="key.expiring")
    run()
    clock.pass_(minutes=61)
    run()
    assert len(sink.mails) == 2
    assert sink.mails[1].parsed["Subject"] == "2 notices from the quiet hours of Alice"
    assert "Quota 90 %" in part(sink.mails[1], "plain")
    assert "API key api-production ends" in part(sink.mails[1], "html")


@pytest.mark.parametrize(
    ("variables", "backend"),
    [
        ({}, "filebased"),
        ({"email_host": "mx"}, "smtp"),
        ({"email_provider": "ses"}, "amazon_ses"),
        ({"email_provider": "sendgrid", "email_api_key": "k"}, "sendgrid"),
    ],
)
@pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")
def test_the_environment_says_who_takes_mails(variables, backend):
    import msgspec
    from django.core.mail import get_connection

    from config.env import env

    path = msgspec.structs.replace(env, **variables).mail_backend()
    assert backend in path
    get_connection(path, fail_silently=False)


@pytest.mark.parametrize("variables", [{"email_provider": "smtp"}, {"email_provider": "sendgrid"}])
def test_half_an_environment_is_refused(variables):
    import msgspec

    from config.env import env
    from ratelimiter.environ import EnvironmentInvalid

    with pytest.raises(EnvironmentInvalid, match="EMAIL_"):
        msgspec.structs.replace(env, **variables).mail_backend()
