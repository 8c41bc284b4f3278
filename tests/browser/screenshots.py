"""`python -m tests.browser.screenshots FOLDER`: every page at 1280 and 390 px, in light and dark, of a real service.

Not a test: it is for looking at. Each page is also checked for sideways scrolling, which no page may have.
"""

import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from config.embedded import Parts
from tests.browser.rig import CHROMIUM, CHROMIUM_FLAGS, Service
from tests.parts import TEST_SECRETS

SIZES = {"1280": {"width": 1280, "height": 860}, "390": {"width": 390, "height": 844}}
PASSWORD = "correct horse 42"
EMAIL = "mina@example.com"
RULES = """
rules:
  - {name: everyone, type: global, limit: 50000, window: 1m, priority: 10}
  - {name: user-rpm, type: user, limit: 100, window: 1m, match: {routes: [POST /v1/chat]}}
  - {name: login-by-ip, type: ip, limit: 10, window: 5m, algorithm: fixed_window, on_failure: closed,
     match: {routes: [POST /login, POST /password-reset]}}
  - {name: search-burst, type: user, limit: 60, window: 1m, burst: 120, algorithm: token_bucket,
     match: {routes: ["GET /v1/search/**"]}, on_failure: open}
  - {name: free-plan-models, type: custom, key: [user, attributes.model], limit: 20, window: 1h, mode: shadow,
     match: {attributes: {plan: [free, trial]}}}
  - {name: old-uploads, type: route, limit: 500, window: 1d, enabled: false}
  - {name: exports-monthly, type: user, limit: 500, algorithm: fixed_window,
     calendar: {unit: month, zone: Europe/Berlin, anchor: 15}, match: {routes: [POST /v1/exports]}}
  - {name: renders-at-once, type: user, limit: 20, window: 5m, algorithm: concurrency,
     match: {routes: [POST /v1/render]}}
  - {name: password-guesses, type: ip, limit: 5, window: 1m, algorithm: sliding_log,
     escalation: {breaches: 5, within: 1m, block: 10m}, match: {routes: [POST /password]}}
  - {name: scrapers, action: deny, match: {ips: [198.51.100.0/24, 203.0.113.66, "2001:db8:bad::/48"]}}
  - {name: health, action: allow, match: {routes: [GET /health]}}
  - name: per-customer
    type: user
    limit: 1000
    window: 1h
    overrides:
      - {values: acme-corp, limit: 25000, note: Enterprise contract}
      - {values: "internal-*", limit: unlimited, note: Our own jobs}
      - {values: u_31337, limit: blocked, expires: "2031-01-01T00:00:00Z", note: "Scraping, ticket 4411"}
      - {values: u_77, limit: 5000, expires: "2026-01-01T00:00:00Z", note: Launch week}
      - {values: globex, limit: 10000, expires: "2030-12-31T00:00:00Z"}
      - {values: initech, limit: 2000}
"""


class Camera:
    def __init__(self, browser: Browser, folder: Path):
        self._browser, self._folder = browser, folder
        self.problems: list[str] = []

    def shoot(self, name: str, url: str, state=None, prepare=None) -> None:
        """One page, four times."""
        for scheme in ("light", "dark"):
            for width, size in SIZES.items():
                context = self._browser.new_context(
                    viewport=size, color_scheme=scheme, storage_state=state, has_touch=width == "390"
                )
                page = context.new_page()
                page.on("console", lambda message, at=f"{name} {width}": self._console(at, message))
                page.goto(url)
                if prepare:
                    prepare(page)
                page.wait_for_load_state("networkidle") if "live" not in name else page.wait_for_timeout(300)
                overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if overflow > 0:
                    self.problems.append(f"{name} at {width}: {overflow} px wider than the screen")
                page.screenshot(path=self._folder / f"{name}-{width}-{scheme}.png", full_page=True)
                context.close()

    def _console(self, at: str, message) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            self.problems.append(f"{at}: {message.text}")


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as work:
        Path(work).chmod(0o755)
        parts = Parts.start(Path(work), durable=False, environ=os.environ)
        try:
            with Service(os.environ | parts.environment() | TEST_SECRETS, Path(work)) as service:
                problems = photograph(service, folder)
        finally:
            parts.stop()
    print("\n".join(problems) or f"{len(list(folder.glob('*.png')))} screenshots, none wider than its screen")
    return 1 if problems else 0


def photograph(service: Service, folder: Path) -> list[str]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_FLAGS)
        camera = Camera(browser, folder)
        _visitor(camera, service)
        _member(camera, browser, service)
        _staff(camera, browser, service)
        browser.close()
    return camera.problems


def _visitor(camera: Camera, service: Service) -> None:
    url = service.portal_url
    for name, path in (
        ("landing", "/"), ("pricing", "/pricing"), ("docs", "/docs/"), ("algorithms", "/docs/algorithms"),
        ("status", "/status"), ("webhooks", "/docs/webhooks"),
        ("signup", "/accounts/signup/"), ("login", "/accounts/login/"), ("reset", "/accounts/password/reset/"),
        ("error-404", "/nothing"),
    ):  # fmt: skip
        camera.shoot(name, url + path)
    camera.shoot("signup-wrong", f"{url}/accounts/signup/", prepare=_signup_wrongly)


def _signup_wrongly(page: Page) -> None:
    page.fill("[name=organisation]", "Acme Chat")
    page.fill("[name=email]", "mina@example.com")
    page.fill("[name=password1]", "password")
    page.click("text=Create account")


def _member(camera: Camera, browser: Browser, service: Service) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{service.portal_url}/accounts/signup/")
    page.fill("[name=organisation]", "Acme Chat")
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password1]", PASSWORD)
    page.click("text=Create account")
    page.wait_for_selector("#light")
    home = page.url.removesuffix("onboarding")
    secret = page.inner_text("#curl").split("Bearer ")[1].split('"')[0]
    state = context.storage_state()
    camera.shoot("onboarding-waiting-live", f"{home}onboarding", state)
    camera.shoot("overview-empty-live", home, state)
    camera.shoot("rules-empty-live", f"{home}rules", state)
    camera.shoot("rule-new-free-live", f"{home}rules/new", state)
    _checks(service, secret, 1)
    page.wait_for_selector(".waiting-done")
    camera.shoot("onboarding-done-live", f"{home}onboarding", state)
    slug = home.rstrip("/").rsplit("/", 1)[-1]
    _fill(service, slug)
    _checks(service, secret, 150)
    page.goto(home)
    page.wait_for_selector("text=/Allowed 1\\d\\d/")  # doors report once a second
    page.goto(f"{home}rules")
    page.wait_for_selector("#live-badge .badge-allowed")
    camera.shoot("overview-live", home, state)
    camera.shoot("rules-live", f"{home}rules", state)
    camera.shoot("rule-new-live", f"{home}rules/new", state)
    camera.shoot("rule-wrong-live", f"{home}rules/new", state, prepare=_rule_wrongly)
    rule = page.get_attribute("text=search-burst", "href")
    camera.shoot("rule-live", service.portal_url + rule, state)
    camera.shoot("rule-delete", f"{service.portal_url}{rule}/delete", state)
    for name in ("exports-monthly", "renders-at-once", "password-guesses", "scrapers"):
        camera.shoot(
            f"rule-{name}-live", service.portal_url + page.get_attribute(f"a:text-is('{name}')", "href"), state
        )
    _overrides(camera, page, service, state)
    _analytics(camera, service, slug, home, state)
    _notifications(camera, page, service, slug, home, state)
    camera.shoot("keys", f"{home}keys", state)
    camera.shoot("key-new", f"{home}keys/new", state)
    camera.shoot("key-made", f"{home}keys/new", state, prepare=_key_make)
    page.goto(f"{home}keys")
    rotate = page.get_attribute("a[href$=rotate]", "href")
    camera.shoot("key-rotate", service.portal_url + rotate, state)
    camera.shoot("key-revoke", service.portal_url + rotate.replace("rotate", "revoke"), state)
    camera.shoot("plan", f"{home}plan", state)
    camera.shoot("team", f"{home}team", state)
    for name in ("", "/retention", "/export", "/delete"):
        camera.shoot(f"settings{name.replace('/', '-')}", f"{home}settings{name}", state)
    camera.shoot("menu-tenants-live", home, state, prepare=lambda at: at.click(".menu-button >> nth=0"))
    camera.shoot("menu-account-live", home, state, prepare=lambda at: at.click(".menu-button >> nth=1"))
    for name, path in (
        ("account", "/account"), ("email", "/accounts/email/"), ("password", "/accounts/password/change/"),
        ("logout", "/accounts/logout/"), ("organisation-new", "/organisations/new"),
    ):  # fmt: skip
        camera.shoot(name, service.portal_url + path, state)


def _notifications(camera: Camera, page: Page, service: Service, slug: str, home: str, state) -> None:
    for name, path in (
        ("inbox-empty", "inbox"), ("channels-empty", "notifications/channels"), ("log-empty", "notifications/log"),
        ("channel-new-webhook", "notifications/channels/new/webhook"),
        ("channel-new-email", "notifications/channels/new/email"),
    ):  # fmt: skip
        camera.shoot(name, home + path, state)
    page.goto(f"{home}notifications/channels/new/webhook")
    page.fill("[name=name]", "Production")
    page.fill("[name=url]", "https://hooks.example.com/ratelimiter")
    page.click("text=Connect >> nth=-1")
    page.wait_for_selector("text=Signing keys")
    channel = page.url
    service.manage("demo_notices", "--tenant", slug)
    for name, path in (
        ("inbox", "inbox"), ("notifications", "notifications"), ("channels", "notifications/channels"),
        ("log", "notifications/log"),
    ):  # fmt: skip
        camera.shoot(name, home + path, state)
    camera.shoot("channel", channel, state)
    camera.shoot("channel-delete", f"{channel}/delete", state)
    page.goto(f"{home}notifications/log")
    camera.shoot("delivery", service.portal_url + page.get_attribute("td a >> nth=0", "href"), state)


def _overrides(camera: Camera, page: Page, service: Service, state) -> None:
    overrides = f"{service.portal_url}{_href(page, 'per-customer')}/overrides"
    camera.shoot("overrides-live", overrides, state)
    camera.shoot("overrides-none-live", f"{overrides}?q=zebra", state)
    camera.shoot("overrides-add-live", overrides, state, prepare=lambda at: at.click("text=Add an override"))
    camera.shoot("overrides-import", f"{overrides}/import", state)
    camera.shoot("overrides-import-wrong", f"{overrides}/import", state, prepare=_import_wrongly)
    page.goto(overrides)
    change = service.portal_url + page.get_attribute("a:has-text('Change')", "href")
    camera.shoot("override-edit", change, state)
    camera.shoot("override-delete", f"{change}/delete", state)
    page.goto(overrides.rsplit("/", 2)[0])
    camera.shoot("overrides-empty-live", f"{service.portal_url}{_href(page, 'user-rpm')}/overrides", state)


def _href(page: Page, rule: str) -> str:
    """Of a rule, on the page of all of them."""
    href = page.get_attribute(f"a:text-is('{rule}')", "href")
    assert href
    return href


def _import_wrongly(page: Page) -> None:
    page.fill("[name=lines]", "acme-corp,25000\nu_1,many\nu_2\nu_3,5,someday")
    page.click("text=Import >> nth=-1")
    page.wait_for_selector(".field-error")


def _fill(service: Service, slug: str) -> None:
    """A plan with every rule type, and rules that a real product might have."""
    service.manage("plan_set", "--tenant", slug, "--plan", "professional")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(RULES)
        file.flush()
        service.manage("rules_apply", "--tenant", slug, file.name)


def _rule_wrongly(page: Page) -> None:
    page.fill("[name=name]", "User RPM")
    page.fill("[name=limit]", "-5")
    page.click("text=Only for some checks")
    page.fill("[name=routes]", "post v1/chat")
    page.fill("[name=attributes]", "plan pro")
    page.eval_on_selector("form.editor", "form => { form.noValidate = true; form.requestSubmit(); }")
    page.wait_for_selector(".field-error")


def _key_make(page: Page) -> None:
    page.fill("[name=name]", "api-production")
    page.check("[value=live]")
    page.click("text=Make the key")
    page.wait_for_selector("#secret")


def _analytics(camera: Camera, service: Service, slug: str, home: str, state) -> None:
    """A month of believable traffic; what little was counted before goes."""
    service.manage("analytics_ensure", "--days", "32", role="owner")
    service.manage("analytics_seed", "--tenant", slug, "--days", "30", "--replace")
    for name, path in (
        ("overview-month-live", ""), ("overview-table-live", "?view=table"), ("traffic", "traffic"),
        ("traffic-month", "traffic?range=30d&compare=none&by=route"), ("traffic-capped", "traffic?range=1y"),
        ("traffic-table", "traffic?range=7d&view=table"), ("traffic-wrong", "traffic?range=nonsense"),
        ("offenders", "offenders"), ("explorer", "explorer?outcome=denied"), ("explorer-none", "explorer?q=nobody"),
        ("explorer-tail-live", "explorer?tail=1"), ("privacy", "privacy"),
    ):  # fmt: skip
        camera.shoot(name, f"{home}{path}", state)
    camera.shoot("explorer-why", f"{home}explorer?outcome=denied", state, prepare=_check_open)
    camera.shoot("rule-replayed-live", f"{home}rules/new", state, prepare=_rule_replay)


def _check_open(page: Page) -> None:
    page.locator(".check summary").first.click()
    page.wait_for_selector(".check-why .facts")


def _rule_replay(page: Page) -> None:
    page.fill("[name=limit]", "3")
    page.click("text=Replay them")
    page.wait_for_selector("#replay .sentence")


def _staff(camera: Camera, browser: Browser, service: Service) -> None:
    """The admin, as the staff login of the demo sees it, inside the demo tenant."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder, "demo.json")
        service.manage("demo", "--path", str(demo))
        made = json.loads(demo.read_text())
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{service.portal_url}/accounts/login/")
    page.fill("[name=login]", made["staff_email"])
    page.fill("[name=password]", made["staff_password"])
    page.click("main button")
    page.wait_for_url(lambda url: "/login/" not in url)
    page.goto(f"{service.portal_url}/staff/tenants/tenant/")
    page.check(f"tr:has-text('{made['tenant']}') >> input[name=_selected_action]")
    page.select_option("[name=action]", "open_scope")
    page.click("button[name=index]")
    page.wait_for_url("**/limits/rule/")
    state = context.storage_state()
    for name, path in (
        ("staff", ""), ("staff-tenants", "tenants/tenant/"), ("staff-rules", "limits/rule/"),
        ("staff-rule-new", "limits/rule/add/"), ("staff-overrides", "limits/override/"),
        ("staff-override-new", "limits/override/add/"), ("staff-sharding", "limits/sharding/add/"),
        ("staff-keys", "apikeys/apikey/"), ("staff-plans", "plans/plan/"),
    ):  # fmt: skip
        camera.shoot(name, f"{service.portal_url}/staff/{path}", state)


def _checks(service: Service, secret: str, count: int) -> None:
    """Asks `count` times as one user; denials are answers, too."""
    body = json.dumps({"user": "u_42", "route": "POST /v1/chat", "ip": "203.0.113.7"}).encode()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    for _ in range(count):
        try:
            urllib.request.urlopen(urllib.request.Request(service.check_url, body, headers), timeout=5).close()
        except urllib.error.HTTPError as answer:
            if answer.code != 429:
                raise


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
