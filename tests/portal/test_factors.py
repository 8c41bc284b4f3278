"""The second step of a login: setting it up, logging in with it, and what a change of it ends."""

import json
import re
import time
from datetime import UTC, datetime

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib import admin
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command

from apps.core.scope import tenant_scope
from apps.tenants.audit.models import AuditEntry
from apps.tenants.logins.tokens import TokenInvalid, token_holder, tokens_begin
from config.settings.base import ACCOUNT_RATE_LIMITS
from tests.factories import PASSWORD
from tests.people import Browser

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.now(UTC)


def code_of(secret, steps=0):
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def logged_in(email):
    """And asked for the password again just now, so that changes go on."""
    browser = Browser()
    assert browser.post("/accounts/login/", {"login": email, "password": PASSWORD})["Location"] == "/home"
    assert browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return browser


@pytest.fixture(autouse=True)
def _codes_unused():
    cache.clear()


@pytest.fixture
def browser(alice):
    return logged_in(alice.email)


@pytest.fixture
def secret(browser):
    """Alice's app is set up with it."""
    page = browser.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r'value="([A-Z2-7]{32})"', page)[1]
    answer = browser.post("/accounts/2fa/totp/activate/", {"code": code_of(secret, -1)})
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    return secret


def token(browser, **values):
    return browser.post("/api/v1/token", values, content_type="application/json")


def actions(tenant_id):
    with tenant_scope(tenant_id):
        return list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))


def test_setting_up_an_app_is_told_by_mail_and_in_the_audit_log(alice, secret):
    assert mail.outbox[-1].subject == "An authenticator app was set up for alice@example.com"
    assert actions(alice.tenant_id)[-1] == "member.factor_added"


def test_secrets_are_sealed_where_they_are_kept(secret):
    kept = [str(data) for data in Authenticator.objects.values_list("data", flat=True)]
    assert len(kept) == 2
    assert not any(secret in data for data in kept)
    assert all("gAAAA" in data for data in kept)


def test_a_picture_of_the_key_stands_in_the_page_without_an_address(browser):
    page = browser.get("/accounts/2fa/totp/activate/")
    assert "<svg" in page.content.decode()
    assert "data:" not in page.content.decode()
    assert "unsafe-inline" not in page["Content-Security-Policy"]


def test_a_login_takes_the_code_and_no_page_before_it(alice, secret):
    other = Browser()
    answer = other.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert other.get("/account").status_code == 302
    assert "Incorrect code" in other.post(answer["Location"], {"code": "000000"}).content.decode()
    assert other.get("/account").status_code == 302
    assert other.post(answer["Location"], {"code": code_of(secret)}).status_code == 302
    assert other.get("/account").status_code == 200


def test_a_code_is_good_once_and_for_one_person_at_a_time(alice, secret, anonymous):
    code = code_of(secret)
    login = {"email": alice.email, "password": PASSWORD}
    assert token(anonymous, **login).json()["code"] == "code_needed"
    assert token(anonymous, **login, code="000000").json()["code"] == "code_wrong"
    assert token(anonymous, **login, code=code).status_code == 200
    assert token(anonymous, **login, code=code).json()["code"] == "code_wrong"


def test_a_recovery_code_logs_in_once(alice, secret, browser, anonymous):
    page = browser.get("/accounts/2fa/recovery-codes/").content.decode()
    codes = re.findall(r"\b\d{8}\b", page)
    assert len(codes) == 10
    login = {"email": alice.email, "password": PASSWORD, "code": codes[0]}
    assert token(anonymous, **login).status_code == 200
    assert token(anonymous, **login).status_code == 401


def test_guessing_codes_is_limited(alice, secret, settings, anonymous):
    settings.ACCOUNT_RATE_LIMITS = ACCOUNT_RATE_LIMITS
    cache.clear()
    login = {"email": alice.email, "password": PASSWORD}
    answers = [token(anonymous, **login, code="000000").status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_a_change_ends_every_other_session_and_token(alice, secret, browser):
    other, tokens = Browser().into(alice.email), tokens_begin(user_id=alice.user_id, now=NOW)
    answer = browser.post("/accounts/2fa/totp/deactivate/")
    assert answer["Location"] == "/accounts/2fa/"
    assert browser.get("/account").status_code == 200
    assert other.get("/account").status_code == 302
    with pytest.raises(TokenInvalid):
        token_holder(access=tokens.access, now=NOW)
    assert actions(alice.tenant_id)[-1] == "member.factor_removed"
    assert mail.outbox[-1].subject == "The authenticator app of alice@example.com was switched off"
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("path", ["totp/deactivate/", "recovery-codes/generate/", "recovery-codes/", "webauthn/add/"])
def test_changes_and_codes_ask_for_the_password_again(path, alice, secret):
    late = Browser().into(alice.email)
    answer = late.get(f"/accounts/2fa/{path}")
    assert answer.status_code == 302
    assert "reauthenticate" in answer["Location"]


def test_who_has_lost_everything_is_helped_by_a_command(alice, secret, browser, capsys):
    mail.outbox.clear()
    call_command("mfa_reset", alice.email)
    assert [(told.to, told.subject) for told in mail.outbox] == [
        ([alice.email], f"Two-step login of {alice.email} was switched off")
    ]
    assert browser.get("/account").status_code == 302
    assert logged_in(alice.email).get("/account").status_code == 200
    assert actions(alice.tenant_id)[-1] == "member.factor_removed"


@pytest.mark.parametrize("path", ["", "totp/activate/", "recovery-codes/generate/", "webauthn/add/", "webauthn/"])
def test_the_pages_are_there(path, browser):
    answer = browser.get(f"/accounts/2fa/{path}", follow=True)
    assert answer.status_code == 200
    assert "<script>" not in answer.content.decode()


_ANSWER = {"clientDataJSON": "e30", "attestationObject": "_w", "authenticatorData": "_w", "signature": "_w"}
CREDENTIALS = (
    "", "{}", "[]", "null", '{"id": 1}', "x", '"x"', '{"id": "x", "rawId": "x", "type": "public-key", "response": 1}',
    json.dumps({"id": "eA", "rawId": "eA", "type": "public-key", "response": _ANSWER}),
    json.dumps({"id": "eA", "rawId": "eA", "type": "public-key", "response": {**_ANSWER, "clientDataJSON": "ew"}}),
    json.dumps({"id": "eA", "rawId": "eA", "type": "public-key", "response": {**_ANSWER, "userHandle": "_w"}}),
)  # fmt: skip


def test_nonsense_instead_of_a_passkey_is_refused(browser, anonymous):
    for credential in CREDENTIALS:
        browser.get("/accounts/2fa/webauthn/add/")
        assert browser.post("/accounts/2fa/webauthn/add/", {"credential": credential, "name": "x"}).status_code == 200
        anonymous.get("/accounts/2fa/webauthn/login/", HTTP_ACCEPT="application/json")
        assert anonymous.post("/accounts/2fa/webauthn/login/", {"credential": credential}).status_code == 302
    assert not Authenticator.objects.exists()


def test_staff_take_no_second_step_away_past_the_audit_log(db):
    assert not admin.site.is_registered(Authenticator)
