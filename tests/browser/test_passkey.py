"""A passkey in a real browser: added, and logged in with, without the password."""

import re

from playwright.sync_api import expect

from tests.factories import PASSWORD

EMAIL = "pia@example.com"


def test_a_passkey_is_added_and_logs_in(page, service):
    # A passkey belongs to a name; an address has none.
    service_url = service.portal_url.replace("127.0.0.1", "localhost")
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(service_url)
    page.click("text=Get a key")
    page.fill("[name=organisation]", "Passkeys")
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password1]", PASSWORD)
    page.click("text=Create account")
    expect(page).to_have_url(re.compile(r"/onboarding$"))
    service.confirm(EMAIL)
    page.goto(f"{service_url}/accounts/2fa/webauthn/add/")
    page.fill("[name=password]", PASSWORD)
    page.click("main button")
    page.click("[data-passkey-ask]")
    expect(page.locator("h1")).to_have_text("Recovery codes")
    page.goto(f"{service_url}/accounts/2fa/")
    expect(page.locator("main")).to_contain_text("Manage")

    page.goto(f"{service_url}/accounts/logout/")
    page.click("main button")
    page.goto(f"{service_url}/accounts/login/")
    page.fill("[name=login]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    expect(page.locator("h1")).to_have_text("The second step")
    expect(page.locator("[data-passkey-ask]")).to_be_visible()
    page.click("text=Cancel")
    page.goto(f"{service_url}/accounts/login/")
    page.click("[data-passkey-ask]")
    page.wait_for_url(re.compile(r"/t/passkeys/"))
    assert page.goto(f"{service_url}/account").status == 200
