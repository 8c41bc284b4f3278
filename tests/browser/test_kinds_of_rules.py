"""Rules that refuse, rules of the calendar, and overrides: written in a browser, in force at the doors."""

import json
import re

from playwright.sync_api import expect

from tests.browser.test_first_check import paste, sign_up

RULES = """
rules:
  - name: per-user
    type: user
    limit: 100
    window: 1h
    overrides:
      - {values: acme, limit: 25000, note: Enterprise}
      - {values: globex, limit: 10000}
      - {values: "internal-*", limit: unlimited}
      - {values: u_1, limit: 5}
      - {values: u_2, limit: 6}
      - {values: u_3, limit: 7}
"""


def prepared(page, service, tmp_path, name):
    """Signs up, on a plan with every rule type and with rules; returns the organisation's address and the curl line."""
    sign_up(page, service, f"{name}@example.com", name.capitalize())
    line = page.inner_text("#curl")
    home = page.url.removesuffix("/onboarding")
    slug = home.rsplit("/", 1)[-1]
    service.manage("plan_set", "--tenant", slug, "--plan", "professional")
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    service.manage("rules_apply", "--tenant", slug, str(file))
    return home, line


def test_an_override_is_found_changed_and_in_force_within_a_second(page, service, tmp_path):
    home, line = prepared(page, service, tmp_path, "rosa")
    page.goto(f"{home}/rules")
    page.click("text=6 overrides")
    page.fill("#q", "enterprise")
    expect(page.locator("#overrides tbody tr")).to_have_count(1)  # by itself
    expect(page).to_have_url(re.compile(r"\?q=enterprise$"))
    expect(page.locator("#overrides")).to_contain_text("acme")

    page.click("text=Add an override")
    page.fill("[name=value_0]", "u_42")
    page.select_option("[name=effect]", "blocked")
    expect(page.locator("[name=limit]")).to_be_hidden()
    page.click("button:text-is('Add')")
    expect(page.locator(".notice")).to_contain_text("The override for u_42 is on its way to the doors.")
    expect(page.locator("#live-badge")).to_contain_text("live on 2/2 doors")
    status, headers, body = paste(line)
    assert (status, json.loads(body)["reason"]) == (429, "blocked")
    assert "retry-after" not in headers


def test_the_editor_shows_what_a_kind_of_rule_needs_and_nothing_else(page, service, tmp_path):
    home, line = prepared(page, service, tmp_path, "sam")
    page.goto(f"{home}/rules/new")
    said = page.locator("#said")
    page.fill("[name=name]", "kinds")
    expect(page.locator("[name=zone]")).to_be_hidden()
    page.select_option("[name=window_unit]", "calendar_month")
    expect(page.locator("[name=window_count]")).to_be_hidden()
    expect(said).to_contain_text("Only the fixed window counts by the calendar")
    page.check("[value=fixed_window]")
    page.fill("[name=anchor]", "15")
    page.select_option("[name=zone]", "Europe/Berlin")
    expect(said).to_contain_text("per month from the 15th in Europe/Berlin (fixed window)")

    page.select_option("[name=window_unit]", "minute")
    page.check("[value=concurrency]")
    expect(said).to_contain_text("at a time, each for at most 1 minute (concurrency)")
    expect(page.locator("text=Block whoever keeps exceeding it")).to_be_hidden()

    page.select_option("[name=action]", "deny")
    expect(page.locator("[name=limit]")).to_be_hidden()
    expect(page.locator("[name=algorithm]").first).to_be_hidden()
    expect(said).to_contain_text("Without a condition it would refuse everything")
    page.click("text=Which checks")
    page.fill("[name=users]", "u_42")
    expect(said).to_contain_text("Always refuse checks of u_42")
    page.click("text=Create rule")
    expect(page.locator("#live-badge")).to_contain_text("live on 2/2 doors")
    assert json.loads(paste(line)[2])["policy"] == "kinds"


def test_overrides_work_without_javascript(chromium, service, tmp_path):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    home, _ = prepared(page, service, tmp_path, "tara")
    page.goto(f"{home}/rules")
    page.click("text=6 overrides")
    page.fill("#q", "globex")
    page.click("button:text-is('Filter')")
    expect(page.locator("#overrides tbody tr")).to_have_count(1)
    page.click("a:text-is('Import')")
    page.fill("[name=lines]", "globex,blocked\nhooli,50")
    page.click("main button:text-is('Import')")
    expect(page.locator(".notice")).to_contain_text("Overrides: 1 added, 1 changed.")
    context.close()
