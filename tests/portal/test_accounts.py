"""Signing up, logging in and out, forgetting the password."""

import re

import pytest
from django.core import mail

from apps.tenants.models import Membership, Tenant, User
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
SIGN_UP = {"organisation": "Acme Chat", "email": "mina@example.com", "password1": PASSWORD, "timezone": "Asia/Tokyo"}


def test_signing_up_leads_to_a_line_with_the_first_key_in_it(anonymous, counters):
    answer = anonymous.post("/accounts/signup/", SIGN_UP, follow=True)
    assert answer.redirect_chain[-1][0] == "/t/acme-chat/onboarding"
    assert re.search(r"Bearer rl_test_[0-9A-Za-z]{38}", answer.content.decode())
    tenant = Tenant.objects.get(slug="acme-chat")
    assert tenant.timezone == "Asia/Tokyo"
    assert Membership.objects.get(tenant=tenant).role == "owner"


def test_the_first_key_is_kept_in_no_session(anonymous, counters):
    page = anonymous.post("/accounts/signup/", SIGN_UP, follow=True).content.decode()
    secret = re.search(r"rl_test_[0-9A-Za-z]{38}", page)[0]
    assert secret not in str(dict(anonymous.session))


def test_signing_up_sends_one_mail_that_says_what_it_is_about(anonymous, counters):
    anonymous.post("/accounts/signup/", SIGN_UP)
    (sent,) = mail.outbox
    assert sent.subject == "Confirm mina@example.com for Ratelimiter"
    assert sent.body.startswith("Confirm that mina@example.com is your address:")
    link = re.search(r"http://\S+", sent.body)[0]
    assert link in sent.alternatives[0].content
    answer = anonymous.post(link.removeprefix("http://testserver"))
    assert answer.status_code == 302


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("organisation", "", "This field is required."),
        ("email", "mina", "Enter a valid email address."),
        ("password1", "password", "This password is too common."),
    ],
)
def test_a_wrong_sign_up_names_the_field_and_keeps_the_rest(field, value, words, anonymous):
    page = anonymous.post("/accounts/signup/", SIGN_UP | {field: value}).content.decode()
    beside = page[page.index(f'id="id_{field}_error"') :][:600]
    assert words in beside
    for name in {"organisation", "email"} - {field}:
        assert f'value="{SIGN_UP[name]}"' in page
    assert not User.objects.exists()


def test_a_sign_up_that_finds_no_room_leaves_no_user(anonymous):
    from apps.tenants.models import Cell

    Cell.objects.update(is_open=False)
    answer = anonymous.post("/accounts/signup/", SIGN_UP)
    assert answer.status_code == 422
    assert "no room for another organisation" in answer.content.decode()
    assert 'value="Acme Chat"' in answer.content.decode()
    assert not User.objects.exists()


def test_an_unknown_time_zone_does_not_stand_in_the_way(anonymous, counters):
    anonymous.post("/accounts/signup/", SIGN_UP | {"timezone": "Mars/Olympus"})
    assert Tenant.objects.get(slug="acme-chat").timezone == "UTC"


def test_logging_in_leads_to_the_organisation(anonymous, alice, counters):
    answer = anonymous.post("/accounts/login/", {"login": alice.email, "password": PASSWORD}, follow=True)
    assert answer.redirect_chain[-1][0] == f"/t/{alice.slug}/"


def test_a_wrong_password_keeps_the_address_and_does_not_say_which_was_wrong(anonymous, alice):
    page = anonymous.post("/accounts/login/", {"login": alice.email, "password": "wrong"}).content.decode()
    assert f'value="{alice.email}"' in page
    assert "email address and/or password" in page


def test_logging_out_ends_the_session(alices, alice):
    assert alices.post("/accounts/logout/").status_code == 302
    assert alices.get(f"/t/{alice.slug}/").status_code == 302


def test_a_forgotten_password_is_replaced_through_a_mail(anonymous, alice):
    anonymous.post("/accounts/password/reset/", {"email": alice.email})
    (sent,) = mail.outbox
    assert sent.subject == f"Choose a new password for {alice.email}"
    link = re.search(r"http://testserver(\S+)", sent.body)[1]
    form = anonymous.get(link, follow=True)
    path = form.redirect_chain[-1][0]
    fields = dict.fromkeys(("password1", "password2"), "an even better horse")
    assert anonymous.post(path, fields).status_code == 302
    assert anonymous.login(username=alice.email, password="an even better horse")


def test_a_reset_for_an_unknown_address_says_the_same(anonymous):
    answer = anonymous.post("/accounts/password/reset/", {"email": "nobody@example.com"}, follow=True)
    assert "If there is an account with this address" in answer.content.decode()
    assert mail.outbox[0].subject == "There is no account with nobody@example.com"


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/signup/", "/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/",
        "/accounts/password/reset/key/done/", "/accounts/confirm-email/", "/accounts/inactive/",
        "/accounts/confirm-email/unknown/",
    ],
)  # fmt: skip
def test_a_page_of_the_entrance_wears_our_clothes(path, anonymous):
    page = anonymous.get(path).content.decode()
    assert 'class="narrow stack"' in page


@pytest.mark.parametrize(
    "path", ["/account", "/accounts/email/", "/accounts/password/change/", "/accounts/logout/", "/organisations/new"]
)
def test_a_page_of_ones_own_account_asks_for_login_and_then_opens(path, anonymous, alices):
    assert anonymous.get(path)["Location"].startswith("/accounts/login/" if "logout" not in path else "/")
    assert 'class="narrow stack"' in alices.get(path).content.decode()


def test_one_changes_ones_name(alices, alice):
    alices.post("/account", {"name": "  Alice   Liddell "})
    assert User.objects.get(id=alice.user_id).name == "Alice Liddell"
    page = alices.post("/account", {"name": "x" * 81}).content.decode()
    assert "at most 80 characters" in page
