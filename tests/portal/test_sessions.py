"""Where somebody is logged in, and ending that."""

import re

import pytest

from apps.tenants.logins.sessions import browser_words, sessions_purge
from apps.tenants.models import LoginSession
from tests.factories import PASSWORD
from tests.people import Browser

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0"
PHONE = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36"


def logged_in(email, agent=FIREFOX):
    browser = Browser(headers={"User-Agent": agent})
    assert browser.post("/accounts/login/", {"login": email, "password": PASSWORD})["Location"] == "/home"
    return browser


def page(browser):
    return browser.get("/account/sessions").content.decode()


def test_the_page_says_which_browsers_from_where(alice):
    here, _phone = logged_in(alice.email), logged_in(alice.email, PHONE)
    text = page(here)
    assert text.index("Chrome on Android") < text.index("Firefox on Windows") < text.index("this one")
    assert "from 127.0.0.1" in text
    assert text.count("/end") == 1


def test_ending_one_logs_out_there_at_once(alice):
    here, phone = logged_in(alice.email), logged_in(alice.email, PHONE)
    path = re.search(r"/account/sessions/\d+/end", page(here))[0]
    assert here.get(path).status_code == 405
    assert here.post(path).status_code == 302
    assert phone.get("/account").status_code == 302
    assert here.get("/account").status_code == 200
    assert here.post(path).status_code == 404


def test_another_persons_session_is_not_there(alice, bob):
    theirs = logged_in(alice.email)
    session = LoginSession.objects.get(user_id=alice.user_id)
    assert logged_in(bob.email).post(f"/account/sessions/{session.id}/end").status_code == 404
    assert theirs.get("/account").status_code == 200


def test_logging_out_everywhere_else_keeps_this_session_in_the_list(alice):
    here, phone = logged_in(alice.email), logged_in(alice.email, PHONE)
    assert here.post("/account/logout-others").status_code == 302
    assert phone.get("/account").status_code == 302
    assert "Firefox on Windows" in page(here)
    assert "Chrome on Android" not in page(here)


def test_another_password_ends_all_sessions_but_the_one_it_was_chosen_in(alice):
    here, phone = logged_in(alice.email), logged_in(alice.email, PHONE)
    new = "another horse battery"
    changed = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/accounts/password/change/", changed)["Location"] == "/account"
    assert phone.get("/account").status_code == 302
    assert "Firefox on Windows" in page(here)
    assert "Chrome on Android" not in page(here)


def test_what_django_has_forgotten_is_purged(alice):
    here, phone = logged_in(alice.email), logged_in(alice.email, PHONE)
    phone.post("/accounts/logout/")
    assert sessions_purge() == 1
    assert "Firefox on Windows" in page(here)


@pytest.mark.parametrize("path", ["/account/sessions", "/account"])
def test_a_visitor_is_led_to_the_login(path, anonymous):
    assert anonymous.get(path)["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(("agent", "words"), [("", "An unknown browser"), ("curl/8", "An unknown browser")])
def test_what_is_not_known_is_called_so(agent, words):
    assert browser_words(agent) == words
