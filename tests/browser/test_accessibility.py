"""Every page passes axe in light and in dark: nothing serious or critical of WCAG 2.2 AA."""

import re

import pytest
from django.urls import reverse

from apps.tenants.services import user_create
from config.staff import SIDEBAR
from tests.browser.filled import OPEN, OWN
from tests.factories import PASSWORD
from tests.people import Browser
from tests.portal.test_factors import code_of, logged_in

pytestmark = pytest.mark.django_db(transaction=True)
SECOND_STEP = [
    "/accounts/2fa/", "/accounts/2fa/recovery-codes/", "/accounts/2fa/recovery-codes/generate/",
    "/accounts/2fa/totp/deactivate/", "/accounts/2fa/webauthn/", "/accounts/2fa/webauthn/add/",
    "/accounts/2fa/reauthenticate/",
]  # fmt: skip


def test_pages_that_anybody_may_read(reader, live_server):
    visitor = reader()
    for path in OPEN:
        visitor.read(path)
    visitor.read("/nothing", status=404)
    visitor.page.goto(f"{visitor.url}/accounts/signup/")
    visitor.page.fill("[name=organisation]", "Acme")
    visitor.page.fill("[name=email]", "mina@example.com")
    visitor.page.fill("[name=password1]", "password")
    visitor.page.click("text=Create account")
    visitor.page.wait_for_selector(".field-error")
    visitor.look()
    assert not visitor.wrong, "\n".join(visitor.wrong)


def test_pages_of_a_member(reader, alice, filled):
    member = reader(logged_in(alice.email))
    for path in [*filled.pages(alice.slug), *OWN, filled.invitation_path]:
        member.read(path)
    member.page.goto(f"{member.url}/t/{alice.slug}/keys/new")
    member.page.fill("[name=name]", "api-production")
    member.page.click("text=Make the key")
    member.page.wait_for_selector("#secret")
    member.look()
    member.page.goto(f"{member.url}/t/{alice.slug}/rules/new")
    member.page.fill("[name=name]", "User RPM")
    member.page.eval_on_selector("form.editor", "form => { form.noValidate = true; form.requestSubmit(); }")
    member.page.wait_for_selector(".field-error")
    member.look()
    assert not member.wrong, "\n".join(member.wrong)


def test_pages_of_the_second_step(reader, alice, anonymous):
    browser = logged_in(alice.email)
    member = reader(browser)
    member.read("/accounts/2fa/totp/activate/")
    secret = re.search(r'value="([A-Z2-7]{32})"', member.page.content())[1]
    member.page.fill("[name=code]", code_of(secret, -1))
    member.page.press("[name=code]", "Enter")
    member.page.wait_for_url("**/recovery-codes/")
    for path in SECOND_STEP:
        member.read(path)
    anonymous.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    halfway = reader(anonymous)
    halfway.read("/accounts/2fa/authenticate/")
    assert not member.wrong + halfway.wrong, "\n".join(member.wrong + halfway.wrong)


def test_pages_that_say_no(reader, alice, as_role, monkeypatch):
    viewer = reader(as_role("viewer"))
    viewer.read(f"/t/{alice.slug}/settings", status=403)
    viewer.read(f"/t/{alice.slug}/")  # with nothing in it
    monkeypatch.setattr("apps.plans.views.plans_all", lambda: 1 / 0)
    viewer.read("/pricing", status=500)
    assert not viewer.wrong, "\n".join(viewer.wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_staff(reader, alice, filled, counters, scheme):
    """Every section of the menu with an organisation picked, and a page behind each. They keep to the scheme that they
    were loaded in.
    """
    user_create(email="staff@example.com", password=PASSWORD, is_staff=True)
    browser = Browser().into("staff@example.com")
    picked = {"action": "open_scope", "_selected_action": [alice.tenant_id]}
    browser.post(reverse("admin:tenants_tenant_changelist"), picked)
    staff = reader(browser)
    staff.page.emulate_media(color_scheme=scheme)
    listed = [str(item["link"]) for section in SIDEBAR["navigation"] for item in section["items"]]
    for path in ["/staff/", *listed, f"/staff/tenants/tenant/{alice.tenant_id}/look"]:
        staff.read(path, schemes=[scheme])
        links = staff.page.locator("#result_list tbody th a, a.addlink").all()
        for inner in {link.get_attribute("href").split("?")[0] for link in links[:1]}:
            staff.read(inner, schemes=[scheme])
    assert not staff.wrong, "\n".join(staff.wrong)


def test_the_reference_of_the_api(reader):
    visitor = reader()
    visitor.page.goto(f"{visitor.url}/api/docs")
    visitor.page.wait_for_selector(".opblock")
    for summary in visitor.page.locator(".opblock-summary-control").all()[:3]:
        summary.click()
    visitor.look()
    assert not visitor.wrong, "\n".join(visitor.wrong)


def test_what_is_wrong_is_found_in_both_themes(reader):
    visitor = reader()
    visitor.page.goto(f"{visitor.url}/status")
    visitor.page.evaluate("""() => {
      const faint = document.createElement("p");
      faint.textContent = "Who can read this?";
      faint.style.color = "light-dark(#ddd, #333)";
      document.querySelector("main").append(faint, document.createElement("img"));
    }""")
    visitor.look()
    assert [line.split()[1:3] for line in visitor.wrong] == [
        ["light:", "color-contrast:"], ["light:", "image-alt:"], ["dark:", "color-contrast:"],
    ]  # fmt: skip
