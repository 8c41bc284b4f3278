"""From nothing to the first 429, the way a newcomer goes: sign up, paste, see green, write a rule, be denied."""

import re
import subprocess
import time

from playwright.sync_api import expect

from tests.factories import PASSWORD

expect.set_options(timeout=15_000)
COUNT_CLICKS = """addEventListener("click", (event) => {
  if (event.isTrusted) sessionStorage.clicks = 1 + Number(sessionStorage.clicks ?? 0);
}, true)"""


def sign_up(page, service, email, organisation="Acme Chat"):
    page.goto(service.portal_url)
    page.click("text=Get a key")
    page.fill("[name=organisation]", organisation)
    page.fill("[name=email]", email)
    page.fill("[name=password1]", PASSWORD)
    page.click("text=Create account")
    expect(page).to_have_url(re.compile(r"/t/[a-z0-9-]+/onboarding$"))


def paste(line):
    """What the shell prints for the copied line: status, headers by lower-case name, body."""
    done = subprocess.run(line.replace("curl -i", "curl -si"), shell=True, capture_output=True, text=True, check=True)
    head, _, body = done.stdout.partition("\n\n")
    first, *rest = head.splitlines()
    headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in rest)}
    return int(first.split()[1]), headers, body


def test_a_newcomer_signs_up_pastes_sees_green_writes_a_rule_and_is_denied(page, service):
    sign_up(page, service, "mina@example.com")
    expect(page.locator("#light")).to_contain_text("Waiting for your first check")
    page.click("text=Copy")
    expect(page.locator("[data-copy-word]")).to_have_text("Copied")
    line = page.evaluate("navigator.clipboard.readText()")

    status, headers, body = paste(line)
    assert (status, headers["rl-decision"]) == (200, "allow")
    assert '"reason":"no_rule"' in body
    expect(page.locator("#light")).to_contain_text("Your first check arrived")  # by itself
    expect(page.locator(".waiting-done")).to_be_visible()

    page.click("text=Write the first rule")
    page.fill("[name=name]", "whole-api")
    page.fill("[name=limit]", "2")
    page.select_option("[name=window_unit]", "hour")
    expect(page.locator("#said")).to_contain_text("For everyone together allow 2 per 1 hour")
    expect(page.locator("#said")).to_contain_text('RateLimit-Policy: "whole-api";q=2;w=3600')
    page.click("text=Create rule")
    expect(page.locator("#live-badge")).to_contain_text("live on 2/2 doors")

    assert [paste(line)[0] for _ in range(3)] == [200, 200, 429]
    status, headers, body = paste(line)
    assert headers["rl-decision"] == "deny"
    assert int(headers["retry-after"]) > 0
    assert '"violated-policies":["whole-api"]' in body

    page.click("text=Overview")
    expect(page.locator("#live")).to_contain_text("Denied 2")  # without a reload, within the next refresh
    expect(page.locator("#live")).to_contain_text("Nothing. 1 rule decides on every door.")


def test_from_nothing_to_green_are_three_fields_and_three_clicks(page, service):
    page.add_init_script(COUNT_CLICKS)
    started = time.monotonic()
    page.goto(service.portal_url)
    page.click("text=Get a key")
    fields = page.locator("main form input:visible, main form select:visible, main form textarea:visible")
    assert fields.count() == 3
    for field, text in zip(fields.all(), ("Few Clicks", "fay@example.com", PASSWORD), strict=True):
        field.fill(text)
    page.click("text=Create account")
    page.click("text=Copy")
    expect(page.locator("[data-copy-word]")).to_have_text("Copied")
    assert paste(page.evaluate("navigator.clipboard.readText()"))[0] == 200
    expect(page.locator("#light")).to_contain_text("Your first check arrived")
    assert time.monotonic() - started < 90
    assert page.evaluate("Number(sessionStorage.clicks)") == 3


def test_a_switch_to_shadow_reaches_the_doors_and_lets_through(page, service):
    sign_up(page, service, "noah@example.com", "Noah")
    line = page.inner_text("#curl")
    page.goto(page.url.replace("onboarding", "rules/new"))
    page.fill("[name=name]", "tight")
    page.fill("[name=limit]", "1")
    page.select_option("[name=window_unit]", "day")
    page.click("text=Create rule")
    expect(page.locator("#live-badge")).to_contain_text("live on 2/2 doors")
    assert [paste(line)[0] for _ in range(2)] == [200, 429]
    page.click("button:has-text('Shadow')")
    expect(page.locator(".rule .badge-shadow")).to_be_visible()
    expect(page.locator(".sentence")).to_contain_text("only record it")
    expect(page.locator("#live-badge")).to_contain_text("Revision 3 live on 2/2 doors")
    assert paste(line)[0] == 200


def test_the_theme_switch_works_at_once_and_lasts(page, service):
    page.goto(service.portal_url)
    page.click("[data-theme-switch] [value=dark]")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto(f"{service.portal_url}/pricing")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    page.click("[data-theme-switch] [value=light]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_it_all_works_without_javascript(chromium, service):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_up(page, service, "olga@example.com", "Olga")
    line = page.inner_text("#curl")
    paste(line)
    light = page.locator("#light")
    for _ in range(20):
        if "arrived" in light.inner_text():
            break
        page.click("noscript a")
    expect(light).to_contain_text("Your first check arrived")
    page.click("text=Write the first rule")
    page.fill("[name=name]", "everyone")
    page.click("text=Create rule")
    page.click("button:has-text('Shadow')")
    expect(page.locator(".notice")).to_contain_text("in shadow")
    page.click("text=Keys")
    page.click("main a:has-text('key') >> nth=0")
    page.fill("[name=name]", "nightly-job")
    page.click("text=Make the key")
    assert page.inner_text("#secret").startswith("rl_")
    page.click("text=Keys")
    page.click("tr:has-text('nightly-job') a:has-text('Revoke')")
    page.click("main form button")
    expect(page.locator(".notice")).to_contain_text("nightly-job")
    page.click("text=Overview")
    expect(page.locator("main")).to_contain_text("Checks")
    page.click("text=Plan")
    page.click("main a:has-text('Change')")
    plans = page.url
    page.click("text=Buy Startup")
    expect(page.get_by_text("Pay $49.00 and subscribe")).to_be_visible()
    page.goto(plans)
    page.click("[data-theme-switch] >> xpath=ancestor::details/summary")
    page.click("[data-theme-switch] [value=dark]")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    context.close()


def test_the_keyboard_reaches_everything_that_matters(page, service):
    sign_up(page, service, "paul@example.com", "Paul")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("k")
    expect(page).to_have_url(re.compile(r"/keys$"))
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("text=New organisation")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("text=New organisation")).to_be_hidden()
