"""Every page of the workspace: who gets in. A page that is missing from the table fails the first test."""

from types import SimpleNamespace

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from apps.analytics.events import Cursor
from apps.core.scope import tenant_scope
from apps.notifications.log import deliveries_of
from apps.tenants.audit.reading import Wanted, entries_of
from apps.tenants.invitations import invite
from tests.analytics.rows import Rows, ingesting
from tests.factories import colleague_make, override_make
from tests.notifications.webhooks import webhook_make

# name -> (methods, roles that may)
EVERYBODY = {"owner", "admin", "developer", "billing", "viewer"}
EDITORS = {"owner", "admin", "developer"}
MANAGERS = {"owner", "admin"}
PAYERS = {"owner", "admin", "billing"}
BUYERS = {"owner", "billing"}
PAGES = {
    "analytics:overview": ("get", EVERYBODY),
    "analytics:traffic": ("get", EVERYBODY),
    "analytics:traffic_csv": ("get", EVERYBODY),
    "analytics:marker_create": ("post", EDITORS),
    "analytics:offenders": ("get", EVERYBODY),
    "analytics:explorer": ("get", EVERYBODY),
    "analytics:events_csv": ("get", EVERYBODY),
    "analytics:tail": ("get", EVERYBODY),
    "analytics:check": ("get", EVERYBODY),
    "analytics:rule": ("get", EVERYBODY),
    "analytics:rule_glance": ("get", EVERYBODY),
    "analytics:privacy": ("get", EVERYBODY),
    "analytics:replay": ("post", EDITORS),
    "analytics:sparks": ("get", EVERYBODY),
    "limits:find": ("get", EVERYBODY),
    "limits:onboarding": ("get", EVERYBODY),
    "limits:plan": ("get", PAYERS),
    "limits:rules": ("get", EVERYBODY),
    "limits:rules_live": ("get", EVERYBODY),
    "limits:rule_create": ("get", EDITORS),
    "limits:rule_preview": ("post", EDITORS),
    "limits:rule": ("get", EVERYBODY),
    "limits:rule_mode": ("post", EDITORS),
    "limits:rule_enabled": ("post", EDITORS),
    "limits:rule_delete": ("get", EDITORS),
    "limits:overrides": ("get", EVERYBODY),
    "limits:overrides_import": ("get", EDITORS),
    "limits:overrides_export": ("get", EVERYBODY),
    "limits:override": ("get", EDITORS),
    "limits:override_delete": ("get", EDITORS),
    "apikeys:keys": ("get", EVERYBODY),
    "apikeys:create": ("get", EDITORS),
    "apikeys:reference_key": ("post", EDITORS),
    "apikeys:made": ("get", EDITORS),
    "apikeys:rotate": ("get", EDITORS),
    "apikeys:revoke": ("get", EDITORS),
    "billing:bill": ("get", PAYERS),
    "billing:bill_csv": ("get", PAYERS),
    "billing:plans": ("get", BUYERS),
    "billing:change": ("get", BUYERS),
    "billing:keep": ("post", BUYERS),
    "billing:trial": ("post", BUYERS),
    "billing:bought": ("get", BUYERS),
    "billing:invoices": ("get", PAYERS),
    "billing:alerts": ("post", BUYERS),
    "billing:contact": ("post", BUYERS),
    "billing:payment_portal": ("post", BUYERS),
    "billing:payment_changed": ("get", BUYERS),
    "notifications:inbox": ("get", EVERYBODY),
    "notifications:unread": ("get", EVERYBODY),
    "notifications:preferences": ("get", EVERYBODY),
    "notifications:channels": ("get", EVERYBODY),
    "notifications:channel_create": ("get", MANAGERS),
    "notifications:channel": ("get", MANAGERS),
    "notifications:channel_confirm": ("post", MANAGERS),
    "notifications:channel_ask": ("post", MANAGERS),
    "notifications:channel_enable": ("post", MANAGERS),
    "notifications:channel_rotate": ("post", MANAGERS),
    "notifications:channel_move": ("post", MANAGERS),
    "notifications:channel_delete": ("get", MANAGERS),
    "notifications:log": ("get", MANAGERS),
    "notifications:delivery": ("get", MANAGERS),
    "notifications:again": ("post", MANAGERS),
    "tenants:audit": ("get", MANAGERS),
    "tenants:audit_csv": ("get", MANAGERS),
    "tenants:team": ("get", EVERYBODY),
    "tenants:settings": ("get", MANAGERS),
    "tenants:deletion": ("get", {"owner"}),
    "tenants:exports": ("get", {"owner"}),
    "tenants:retention": ("get", EVERYBODY),
    "tenants:export_download": ("get", {"owner"}),
    "tenants:restore": ("post", {"owner"}),
    "tenants:member_invite": ("post", MANAGERS),
    "tenants:invitation_resend": ("post", MANAGERS),
    "tenants:invitation_revoke": ("post", MANAGERS),
    "tenants:member_role": ("post", MANAGERS),
    "tenants:member_remove": ("get", MANAGERS),
    "tenants:leave": ("get", EVERYBODY),
    "tenants:ownership": ("get", {"owner"}),
}
RULE_PAGES = (
    "limits:rule", "limits:rule_mode", "limits:rule_enabled", "limits:rule_delete", "limits:overrides",
    "limits:overrides_import", "limits:overrides_export", "limits:override", "limits:override_delete", "analytics:rule",
    "analytics:rule_glance",
)  # fmt: skip
OVERRIDE_PAGES = ("limits:override", "limits:override_delete")
KEY_PAGES = ("apikeys:made", "apikeys:rotate", "apikeys:revoke")
CHANNEL_PAGES = (
    "notifications:channel", "notifications:channel_confirm", "notifications:channel_ask",
    "notifications:channel_enable", "notifications:channel_rotate", "notifications:channel_move",
    "notifications:channel_delete",
)  # fmt: skip
DELIVERY_PAGES = ("notifications:delivery", "notifications:again")
INVITATION_PAGES = ("tenants:invitation_resend", "tenants:invitation_revoke")
MEMBER_PAGES = ("tenants:member_role", "tenants:member_remove")
CHECK = "chk_of_alice"
FILLED = {
    "analytics:marker_create": {"text": "v1"}, "analytics:tail": {"than": Cursor(timezone.now(), "-").written()},
    "tenants:member_invite": {"email": "new@example.com", "role": "viewer"}, "tenants:member_role": {"role": "viewer"},
    "limits:rule_mode": {"mode": "shadow"}, "limits:rule_enabled": {"enabled": "on"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def check(alice):
    """One that Alice's callers made."""
    with ingesting() as ingest:
        Rows(ingest, alice.tenant_id).event(timezone.now(), CHECK)
        yield


@pytest.fixture
def rule(alice, rule):
    """Alice's rule, with the ids of its one override, and of her webhook and the delivery of its test message."""
    hook = webhook_make(alice, "https://hooks.example.com/", verified=False)
    with tenant_scope(alice.tenant_id):
        [delivery] = deliveries_of(tenant_id=alice.tenant_id, channel_id=hook.id, limit=1)
    now = timezone.now()
    invited = invite(
        tenant_id=alice.tenant_id, email="sam@example.com", role="viewer", by_id=alice.user_id, by_role="owner", now=now
    )
    return SimpleNamespace(
        invitation_id=invited.id,
        user_id=colleague_make(alice.tenant_id, "viewer", "vera@example.com"),
        id=rule.id,
        override_id=override_make(alice.tenant_id, rule.id).id,
        channel_id=hook.id,
        delivery_id=delivery.id,
    )


def url_of(name, slug, rule, key):
    numbers = {}
    if name in RULE_PAGES:
        numbers = {"rule_id": rule.id}
    if name in OVERRIDE_PAGES:
        numbers["override_id"] = rule.override_id
    if name in KEY_PAGES:
        numbers = {"key_id": key.id}
    if name in CHANNEL_PAGES:
        numbers = {"channel_id": rule.channel_id}
    if name in DELIVERY_PAGES:
        numbers = {"delivery_id": rule.delivery_id}
    if name in INVITATION_PAGES:
        numbers = {"invitation_id": rule.invitation_id}
    if name in MEMBER_PAGES:
        numbers = {"user_id": rule.user_id}
    if name == "notifications:channel_create":
        numbers = {"medium": "webhook"}
    if name == "analytics:check":
        numbers = {"check_id": CHECK}
    if name == "billing:change":
        numbers = {"code": "startup"}
    return reverse(name, kwargs={"slug": slug, **numbers})


def visit(client, name, slug, rule, key):
    method, _ = PAGES[name]
    return getattr(client, method)(url_of(name, slug, rule, key), FILLED.get(name, {}))


def _names(resolver, namespace=""):
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _names(entry, f"{entry.namespace}:" if entry.namespace else namespace)
        elif isinstance(entry, URLPattern) and str(entry.pattern).startswith("t/<slug:slug>/"):
            yield f"{namespace}{entry.name}"


def test_the_table_knows_every_page_of_the_workspace():
    assert set(_names(get_resolver())) == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_an_anonymous_visitor_is_led_to_the_login(name, anonymous, alice, rule, key):
    answer = visit(anonymous, name, alice.slug, rule, key)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("name", PAGES)
def test_a_stranger_finds_nothing(name, bobs, alice, rule, key):
    assert visit(bobs, name, alice.slug, rule, key).status_code == 404


@pytest.mark.parametrize(
    "name",
    [*RULE_PAGES, *KEY_PAGES, *CHANNEL_PAGES, *DELIVERY_PAGES, *INVITATION_PAGES, *MEMBER_PAGES, "analytics:check"],
)
def test_another_tenants_ids_are_not_found_under_ones_own_slug(name, bobs, bob, rule, key):
    assert visit(bobs, name, bob.slug, rule, key).status_code == 404


@pytest.mark.parametrize("role", sorted(EVERYBODY))
def test_a_role_opens_what_its_permissions_say_and_nothing_else(role, as_role, alice, rule, key):
    client = as_role(role)
    answers = {name: visit(client, name, alice.slug, rule, key).status_code for name in PAGES}
    assert {name for name, status in answers.items() if status in (200, 302)} == {
        name for name, (_, roles) in PAGES.items() if role in roles
    }
    assert {name for name, status in answers.items() if status == 403} == {
        name for name, (_, roles) in PAGES.items() if role not in roles
    }


def test_staff_who_look_as_an_owner_read_every_page_and_change_nothing(staff, alice, rule, key):
    staff.post(
        reverse("admin:tenants_look", args=[alice.tenant_id]),
        {"member": alice.user_id, "reason": "ticket 4711: a rule"},
    )
    with tenant_scope(alice.tenant_id):
        before = entries_of(tenant_id=alice.tenant_id, wanted=Wanted(), limit=100)
    answers = {name: visit(staff, name, alice.slug, rule, key).status_code for name in PAGES}
    assert {name for name, status in answers.items() if status == 403} == {
        name for name, (method, _) in PAGES.items() if method == "post"
    }
    assert set(answers.values()) <= {200, 302, 403}
    with tenant_scope(alice.tenant_id):
        assert entries_of(tenant_id=alice.tenant_id, wanted=Wanted(), limit=100) == before
