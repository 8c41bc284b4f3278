"""From anywhere to a rule by its name, with the keyboard alone."""

import re

import pytest
from playwright.sync_api import expect

from tests.factories import rule_make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_keys(alice, alices, sent, counters, page, live_server):
    page.context.add_cookies(
        [{"name": "sessionid", "value": alices.cookies["sessionid"].value, "url": live_server.url}]
    )
    page.goto(f"{live_server.url}/t/{alice.slug}/keys")
    return page


@pytest.mark.parametrize("chord", ["Control+k", "Meta+k"])
def test_a_chord_some_letters_an_arrow_and_enter(chord, alice, at_keys):
    page, rule = at_keys, rule_make(alice.tenant_id, name="user-rpm", type="user")
    page.keyboard.press(chord)
    expect(page.locator("[data-find-form] [type=search]")).to_be_focused()
    page.keyboard.type("rpm")
    expect(page.locator("[data-found]")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/find\?q=rpm$"))
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-found]")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator("[data-find-form] [type=search]")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/rules/{rule.id}$"))
