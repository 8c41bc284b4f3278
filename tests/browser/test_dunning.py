"""A card that stops paying, from the failed renewal to the day it is forgotten, with the pages that a person sees."""

import re
import time

from playwright.sync_api import expect

from tests.billing.sandbox.rig import DAY, HOUR, Clock
from tests.browser.test_first_check import sign_up

expect.set_options(timeout=15_000)
CUSTOMER = (
    "from apps.billing.models import Account; from apps.tenants.selectors import tenant_by_slug;"
    "Account.objects.create(tenant_id=tenant_by_slug({slug!r}).id, customer={customer!r})"
)


def customer_on_a_clock(service, slug):
    """So that a month passes at once; otherwise as the purchase would have made it."""
    clock = Clock(service.stripe_url, int(time.time()))
    service.manage("shell", "-c", CUSTOMER.format(slug=slug, customer=clock.customer().id))
    return clock


def take(page, number, button):
    page.fill("[name=number]", number)
    page.click(f"button:has-text('{button}')")


def test_a_failed_renewal_is_said_on_every_page_until_it_is_paid(page, service):
    sign_up(page, service, "dina@example.com", "Dina")
    home = page.url.removesuffix("onboarding")
    clock = customer_on_a_clock(service, home.rstrip("/").rsplit("/", 1)[-1])
    page.goto(f"{home}plan/change")
    page.click("text=Buy Startup")
    take(page, "4242424242424242", "Pay $49.00 and subscribe")
    expect(page.locator(".notice")).to_contain_text("You are on the Startup plan")

    _reload_until(page, f"{home}invoices", page.locator("text=Visa ending in 4242").count)
    expect(page.locator(".list .badge-allowed")).to_contain_text("Paid")
    page.click("text=Change card, address or tax id")
    take(page, "4000000000000341", "Use this card")
    page.goto(f"{home}invoices/back")
    expect(page.locator("main")).to_contain_text("Visa ending in 0341")
    expect(page.locator("#dunning")).to_have_count(0)

    clock.advance(31 * DAY + 2 * HOUR)
    banner = page.locator("#dunning")
    _reload_until(page, f"{home}keys", banner.count)
    expect(banner).to_contain_text("A payment of $49.00 failed")
    expect(banner).to_contain_text("It is tried again on")
    for path in ("", "rules", "plan", "invoices"):
        page.goto(home + path)
        expect(banner).to_be_visible()
    expect(page.locator(".list .badge-degraded")).to_contain_text("$49.00 due")

    banner.locator("text=Pay $49.00 now").click()
    expect(page).to_have_url(re.compile(re.escape(service.stripe_url) + "/invoice/"))
    take(page, "4000000000000341", "Pay")
    expect(page.get_by_role("alert")).to_contain_text("declined")
    take(page, "5555555555554444", "Pay")
    expect(page.locator("body")).to_contain_text("State: paid")
    _reload_until(page, f"{home}keys", lambda: not banner.count())
    page.goto(f"{home}invoices")
    expect(page.locator(".list .badge-allowed")).to_have_count(2)
    page.goto(f"{home}plan")
    expect(page.locator("h1")).to_have_text("Startup")


def _reload_until(page, url, condition):
    """News come by a webhook and are worked on beside the page."""
    deadline = time.monotonic() + 20
    page.goto(url)
    while not condition():
        assert time.monotonic() < deadline, page.inner_text("main")
        page.wait_for_timeout(200)
        page.goto(url)
