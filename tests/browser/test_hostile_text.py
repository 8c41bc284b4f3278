"""Whatever people and their callers write stays text: no dialog opens, and nothing that could run gets into a page.

The browser ignores the content security policy here, which would else hide a hole. Beside dialogs, every page is
searched for what no page of ours has: handlers in attributes, foreign scripts, frames, and addresses that are code.
"""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from apps.analytics.services import marker_create
from apps.apikeys.services import key_create
from apps.core.errors import ApplicationError, Invalid
from apps.core.scope import tenant_scope
from apps.limits.override_services import overrides_apply
from apps.limits.overrides import OverrideSpec
from apps.notifications.announcing import announcement_put
from apps.notifications.log import deliveries_of
from apps.notifications.models import Attempt
from apps.tenants.invitations import invite
from apps.tenants.services import membership_put, tenant_create, tenant_update, user_create, user_update
from tests.analytics.rows import Rows, hour_of, ingesting
from tests.browser.hostile import payloads
from tests.factories import PASSWORD, notice_make, rule_make
from tests.notifications.webhooks import webhook_make
from tests.people import Browser

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
TEXTS = payloads()
PRINTABLE = [text if text.isprintable() else f"u_{at}" for at, text in enumerate(TEXTS)]  # what a value must be
SEARCH = r"""(root) => [...root.querySelectorAll("*")].filter((one) => {
  // Not `one.attributes`: a form has a field of that name.
  const held = Element.prototype.getAttributeNames.call(one).map((name) => ({name, value: one.getAttribute(name)}));
  const address = /^(href|src|action|formaction|data|xlink:href)$/;
  const script = one.localName === "script";
  return held.some(({name, value}) => /^(on|hx-on)|^srcdoc$/.test(name)
      || (address.test(name) && /^[\s\x00-\x20]*(javascript|vbscript|data:text)/i.test(value)))
    || (script && !(one.type === "application/json" || /^\/(assets|static)\//.test(one.getAttribute("src"))))
    || /^(iframe|object|embed|base|style|marquee|math|audio|video|x)$/.test(one.localName);
}).map((one) => one.outerHTML.slice(0, 200))"""
FETCHED = f"""async (paths) => {{
  const search = {SEARCH};
  const found = [];
  for (const path of paths) {{
    const credentials = path.startsWith("/accounts/") ? "omit" : "same-origin";
    const answer = await fetch(path, {{credentials}});
    const read = new DOMParser().parseFromString(await answer.text(), "text/html");
    found.push([answer.status, read.title, read.querySelector("h1") !== null, search(read)]);
  }}
  return found;
}}"""


class Visitor:
    """Somebody's browser on the live server, and what went wrong in it."""

    def __init__(self, chromium, url, client):
        self.context = chromium.new_context(bypass_csp=True, reduced_motion="reduce")
        self.context.set_default_timeout(20_000)
        cookie = client.cookies["sessionid"]
        self.context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": url}])
        self.url, self.page, self.wrong, self.seen = url, self.context.new_page(), [], ""
        self.page.on("dialog", self._dialog)

    def open(self, path, *, older=0):
        """And at most that many pages that follow it."""
        answer = self.page.goto(self.url + path)
        assert answer.status == 200, path
        self.page.evaluate(
            "for (const part of [...document.querySelectorAll('main details')].slice(0, 5)) part.open = true"
        )
        found = self.page.evaluate(f"() => ({SEARCH})(document)")
        self.wrong += [f"{path}: {one}" for one in found]
        self.seen += self.page.content()
        more = self.page.locator("main a:text-is('Older'), main a:text-is('After')")
        if older and more.count():
            self.open(more.first.evaluate("link => link.pathname + link.search"), older=older - 1)

    def _dialog(self, dialog):
        self.wrong.append(f"{self.page.url}: a dialog")
        dialog.dismiss()


@pytest.fixture
def visit(chromium, live_server):
    made = []

    def make(client):
        made.append(Visitor(chromium, live_server.url, client))
        return made[-1]

    yield make
    for one in made:
        one.context.close()


@pytest.fixture
def home(alice, sent, counters, settings):
    settings.MAX_KEYS = settings.MAX_CHANNELS = settings.MAX_RULES = 2 * len(TEXTS)
    return f"/t/{alice.slug}"


def test_there_are_enough_of_them():
    assert len(set(TEXTS)) >= 200
    assert all("alert(1)" in text or "alert%281%29" in text for text in TEXTS)


def test_what_members_write_into_rules_overrides_keys_and_channels(visit, alice, alices, home):
    rules = [
        rule_make(
            alice.tenant_id, name=f"r{at}", type="custom",
            match={"attributes": {"plan": {"in": PRINTABLE[at : at + 3]}}},
            key=[f"attributes.{text}" for text in PRINTABLE[at : at + 3]],
        )
        for at in range(0, len(TEXTS), 3)
    ]  # fmt: skip
    rule = rule_make(alice.tenant_id, name="by-user", type="user")
    with tenant_scope(alice.tenant_id):
        specs = [OverrideSpec((value,), 5, note=text) for value, text in zip(PRINTABLE, TEXTS, strict=True)]
        overrides_apply(tenant_id=alice.tenant_id, rule_id=rule.id, specs=specs, prune=False)
    for text in TEXTS:
        hook = webhook_make(alice, "https://hooks.example.com/", name=text, verified=text != TEXTS[-1])
        with tenant_scope(alice.tenant_id):
            key_create(tenant_id=alice.tenant_id, name=text, live=False)
    with tenant_scope(alice.tenant_id):
        [delivery] = deliveries_of(tenant_id=alice.tenant_id, channel_id=hook.id, limit=1)
        Attempt.objects.create(
            tenant_id=alice.tenant_id,
            delivery_id=delivery.id,
            outcome="failed",
            duration_ms=1,
            response="\n".join(TEXTS),
        )
    member = visit(alices)
    for path, older in (
        ("/rules", 0), (f"/rules/{rules[0].id}", 0), (f"/rules/{rules[-1].id}", 0), (f"/rules/{rule.id}/overrides", 9),
        ("/keys", 9), ("/find?q=alert", 0), ("/notifications/channels", 0), (f"/notifications/channels/{hook.id}", 0),
        (f"/notifications/channels/{hook.id}/delete", 0), (f"/notifications/log/{delivery.id}", 0),
        ("/notifications/log", 1), ("/audit", 30), ("/", 0),
    ):  # fmt: skip
        member.open(home + path, older=older)
    assert member.wrong == []
    assert member.seen.count("&lt;svg/onload=alert(1)") >= 10  # what was written did stand there


def test_what_callers_send(visit, alice, alices, home):
    rule = rule_make(alice.tenant_id, name="by-user", type="user")
    now = timezone.now()
    with ingesting() as ingest:
        rows = Rows(ingest, alice.tenant_id)
        for at, text in enumerate(TEXTS):
            rows.event(
                now - timedelta(seconds=at), f"chk_{at}", allowed=False, route=text, user=text, ip=text, namespace=text,
                reason=text, attributes={text: text}, results=[(rule.id, 1)],
            )  # fmt: skip
            for dimension in ("route", "user", "ip"):
                rows.dimension(hour_of(now), dimension, text, denied=len(TEXTS) - at)
                rows.offender(hour_of(now), rule.id, dimension, text, denied=len(TEXTS) - at)
            rows.checks("hour", hour_of(now), denied=1, namespace=text)
        with tenant_scope(alice.tenant_id):
            for text in TEXTS[:199]:  # as many as a day takes
                marker_create(tenant_id=alice.tenant_id, kind="deploy", text=text, at=now)
        member = visit(alices)
        for path, older in (
            ("/explorer", 9), ("/explorer?tail=1", 0), ("/explorer/chk_3", 0), ("/offenders", 0), ("/", 0),
            ("/traffic", 0), ("/traffic?by=route&view=table", 0), ("/traffic?by=user", 0), ("/traffic?by=namespace", 0),
            (f"/rules/{rule.id}/traffic", 0),
        ):  # fmt: skip
            member.open(home + path, older=older)
    assert member.wrong == []
    assert member.seen.count("&lt;svg/onload=alert(1)") >= 10


def test_what_people_are_called_and_announcements(visit, alice, alices, home):
    now, invited = timezone.now(), 0
    for at, text in enumerate(TEXTS):
        announcement_put(
            announcement_id=None, title=text, body=text, state="resolved" if at % 2 else "investigating",
            component="checks", is_public=True, tenant_ids=None, now=now,
        )  # fmt: skip
        notice_make(alice.tenant_id, "system.alert", f"a{at}", title=text, body=text, state="investigating")
        notice_make(alice.tenant_id, "key.leaked", f"k{at}", name=text, masked=text, found_at=text)
        try:
            invite(
                tenant_id=alice.tenant_id, email=f'"{text}"@example.com', role="viewer", by_id=alice.user_id,
                by_role="owner", now=now,
            )  # fmt: skip
        except ApplicationError:
            continue
        invited += 1
    for at, text in enumerate(TEXTS):  # last, or each of them would be told of everything above
        user_id = user_create(email=f"u{at}@example.com", password=PASSWORD)
        user_update(user_id=user_id, name=text)
        membership_put(tenant_id=alice.tenant_id, user_id=user_id, role="viewer")
    member = visit(alices)
    for path, older in (("/team", 0), ("/inbox", 20), ("/notifications/log", 1), ("/audit", 9), ("/settings", 0)):
        member.open(home + path, older=older)
    member.open("/status")
    assert member.wrong == []
    assert invited > 0  # addresses may be quoted
    assert member.seen.count("&lt;svg/onload=alert(1)") >= 10


def test_what_organisations_are_called(visit, alice, alices, home):
    zoe = user_create(email="zoe@example.com", password=PASSWORD)
    for text in TEXTS:
        slug = tenant_create(name=text, owner_id=zoe).slug
    places = visit(Browser().into("zoe@example.com"))
    places.open(f"/t/{slug}/keys")
    places.open("/account")
    member = visit(alices)
    member.open(f"{home}/keys")
    for text in TEXTS:
        tenant_update(tenant_id=alice.tenant_id, name=text, timezone="UTC")
        [(status, title, has_heading, found)] = member.page.evaluate(FETCHED, [f"{home}/keys/new"])
        assert (status, has_heading, found) == (200, True, []), text
        assert "alert" in title
    assert member.wrong + places.wrong == []


def test_what_is_looked_for(visit, alices, home):
    member = visit(alices)
    packed = [" ".join(TEXTS[at : at + 9]) for at in range(0, len(TEXTS), 9)]
    paths = [
        f"{home}/{page}={quote(text)}"
        for text in packed
        for page in ("explorer?q", "find?q", "audit?actor", "traffic?range", "keys?page")
    ]
    paths += [f"/accounts/login/?next={quote(text)}" for text in packed]
    member.open(f"{home}/keys")
    found = member.page.evaluate(FETCHED, paths)
    assert [line[3] for line in found if line[3]] == []
    assert member.wrong == []


@pytest.mark.parametrize("field", ["name", "namespace"])
def test_the_names_of_rules_are_no_free_text(field, alice, home):
    for text in TEXTS:
        with pytest.raises(Invalid):
            rule_make(alice.tenant_id, **{field: text})


def test_a_hole_would_be_found(visit, alices, home):
    member = visit(alices)
    member.page.goto(f"{member.url}{home}/keys")
    member.page.evaluate("document.querySelector('main').innerHTML = '<img src=x onerror=alert(1)>'")
    member.page.wait_for_function("() => document.querySelector('main img').complete")
    member.wrong += member.page.evaluate(f"() => ({SEARCH})(document)")
    assert [line.rpartition(": ")[2] for line in member.wrong] == ["a dialog", '<img src="x" onerror="alert(1)">']
