"""A plan that is changed up and down by a person, who is told before what it means."""

from playwright.sync_api import expect

from tests.browser.test_dunning import take
from tests.browser.test_first_check import sign_up

expect.set_options(timeout=15_000)


RULES = """
rules:
  - {name: per-model, type: custom, key: [attributes.model], limit: 5, window: 1s}
  - {name: per-tier, type: custom, key: [attributes.tier], limit: 5, window: 1s}
"""


def test_up_at_once_and_down_with_the_period_after_it_was_said_what_that_takes_away(page, service, tmp_path):
    sign_up(page, service, "nora@example.com", "Nora")
    home = page.url.removesuffix("onboarding")
    page.goto(f"{home}plan/change")
    page.click("text=Buy Startup")
    take(page, "4242424242424242", "Pay $49.00 and subscribe")
    expect(page.locator(".notice")).to_contain_text("You are on the Startup plan")

    page.goto(f"{home}plan/change")
    page.click("text=Change to Professional")
    expect(page.locator("h1")).to_have_text("Change from Startup to Professional?")
    expect(page.locator("tfoot")).to_contain_text("$150.00")  # in its first hour nothing of Startup was used
    page.click("button:has-text('Change to Professional now')")
    expect(page.locator(".notice")).to_contain_text("You are on the Professional plan")

    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    service.manage("rules_apply", "--tenant", home.rstrip("/").rsplit("/", 1)[-1], str(file))
    page.goto(f"{home}plan/change")
    page.click("text=Change to Startup")
    losses = page.locator("main .notice")
    expect(losses).to_contain_text("2 rules are of a type that it does not include: per-model, per-tier")
    expect(losses).to_contain_text("30 days instead of 90")
    page.click("button:has-text('Change to Startup on')")
    expect(page.locator(".notice")).to_contain_text("until then Professional stays")

    page.goto(f"{home}plan/change")
    expect(page.locator("main")).to_contain_text("then Startup begins")
    page.click("button:has-text('Keep Professional')")
    expect(page.locator(".notice")).to_contain_text("You keep the Professional plan")
    expect(page.locator("main")).not_to_contain_text("then Startup begins")
