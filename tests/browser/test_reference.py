"""The API's reference is filled with a test key of the reader's own, and what it sends is answered."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.apikeys.selectors import keys_of
from apps.core.scope import tenant_scope
from apps.limits import publishing
from tests.portal.test_factors import logged_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_member_tries_an_address_out(reader, alice, judge, tasks_run_at_once):
    member = reader(logged_in(alice.email))
    page = member.page
    page.goto(f"{member.url}/api/docs")
    page.click("text=Fill in a test key of Alice")
    publishing.sweep(now=timezone.now())
    expect(page.get_by_text("Filled in with your test key")).to_be_visible()
    address = page.locator(".opblock-post", has=page.locator("[data-path='/api/v1/check']"))
    address.locator(".opblock-summary-control").click()
    address.get_by_role("button", name="Try it out").click()
    address.locator(".execute").click()
    expect(address.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    expect(address.locator(".live-responses-table .microlight").first).to_contain_text('"allowed": true')
    member.look()
    with tenant_scope(alice.tenant_id):
        [key] = [key for key in keys_of(alice.tenant_id) if key.name == "API reference"]
    assert (key.live, key.scopes) == (False, ("check", "refund", "read"))
    assert not member.wrong, "\n".join(member.wrong)
