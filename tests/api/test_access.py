"""Every address of the API, method by method: who gets in. An address or a method that is missing from the table fails
the first test, and the second one shows that it would.
"""

import pytest
from django.db import transaction
from django.urls import path, reverse
from django.utils import timezone

from apps.apikeys.services import key_revoke
from apps.core.scope import tenant_scope
from apps.limits import publishing
from apps.tenants.invitations import invite
from apps.tenants.logins.tokens import tokens_begin
from apps.tenants.services import tenant_suspend, user_create
from config import api
from tests.api.calling import METHODS, client
from tests.api.test_rules import CHAT
from tests.factories import PASSWORD, colleague_make, key_make, override_make, rule_make

pytestmark = pytest.mark.django_db

# Who may: roles, and scopes of API keys.
READERS = {"owner", "admin", "developer", "billing", "viewer", "key:read", "key:admin"}
EDITORS = {"owner", "admin", "developer", "key:admin"}
MANAGERS = {"owner", "admin", "key:admin"}
PAYERS = {"owner", "admin", "billing", "key:admin"}
ROLES = ("owner", "admin", "developer", "billing", "viewer")
SCOPES = ("check", "refund", "read", "admin")

# name -> method -> (who may, a body that is right)
ADDRESSES = {
    "analytics-series": {"get": (READERS, None)},
    "analytics-breakdown": {"get": (READERS, None)},
    "analytics-top": {"get": (READERS, None)},
    "analytics-events": {"get": (READERS, None)},
    "analytics-markers": {"get": (READERS, None), "post": (EDITORS, {"text": "v1"})},
    "audit": {"get": (MANAGERS, None)},
    "rules": {"get": (READERS, None), "post": (EDITORS, CHAT)},
    "rules-bulk": {"get": (READERS, None), "put": (EDITORS, {"rules": []})},
    "rules-validate": {"post": (READERS, {"rules": [CHAT]})},
    "rule": {
        "get": (READERS, None), "put": (EDITORS, CHAT), "patch": (EDITORS, {"limit": 9}), "delete": (EDITORS, None),
    },
    "rule-enable": {"post": (EDITORS, None)},
    "rule-disable": {"post": (EDITORS, None)},
    "rule-mode": {"post": (EDITORS, {"mode": "shadow"})},
    "overrides": {"get": (READERS, None), "post": (EDITORS, {"values": "u_9", "limit": 1})},
    "override": {
        "get": (READERS, None), "put": (EDITORS, {"values": "u_1", "limit": 9}), "delete": (EDITORS, None),
    },
    "api-keys": {"get": (READERS, None), "post": (EDITORS, {"name": "ci"})},
    "api-key": {"get": (READERS, None)},
    "api-key-rotate": {"post": (EDITORS, {})},
    "api-key-revoke": {"post": (EDITORS, None)},
    "members": {"get": (READERS, None)},
    "member": {"get": (READERS, None), "patch": (MANAGERS, {"role": "developer"}), "delete": (MANAGERS, None)},
    "invitations": {"get": (READERS, None), "post": (MANAGERS, {"email": "new@example.com", "role": "viewer"})},
    "invitation-resend": {"post": (MANAGERS, None)},
    "invitation-revoke": {"post": (MANAGERS, None)},
    "tenant": {"get": (READERS, None), "patch": (MANAGERS, {"name": "Alice Ltd"})},
    "billing": {"get": (PAYERS, None)},
    "invoices": {"get": (PAYERS, None)},
    "notifications": {"get": (READERS, None)},
    "channels": {"get": (READERS, None)},
    "me": {"get": (READERS | {"key:check", "key:refund"}, None)},
}  # fmt: skip
# The check API, which knows keys only: name -> the scope that it needs.
CHECKS = {"check": "check", "check-explain": "check", "check-refund": "refund", "check-release": "check"}
OPEN = {
    "token": "asks for the password", "token-refresh": "asks for a token", "token-revoke": "asks for a token",
    "unknown": "there is nothing", "api-schema": "a description",
}  # fmt: skip
PLACED = ("rule_id", "override_id", "key_id", "user_id", "invitation_id")
CALLS = [(name, method) for name, methods in ADDRESSES.items() for method in methods]


def unlisted(patterns, addresses):
    """Addresses and methods that the table does not know, and those that it has and the code has not."""
    there = {
        (one.name, method)
        for one in patterns
        if one.name not in {*CHECKS, *OPEN}
        for method in METHODS
        if hasattr(one.callback.cls, method)
    }
    return there ^ {(name, method) for name, methods in addresses.items() for method in methods}


def test_the_table_knows_every_address_and_method():
    assert unlisted(api.urlpatterns, ADDRESSES) == set()
    assert {*CHECKS, *OPEN} < {one.name for one in api.urlpatterns}


def test_an_address_or_a_method_without_a_row_would_be_found():
    more = [*api.urlpatterns, path("v1/new", api.TenantView.as_view(), name="new")]
    assert unlisted(more, ADDRESSES) == {("new", "get"), ("new", "patch")}
    less = {name: methods for name, methods in ADDRESSES.items() if name != "billing"}
    assert unlisted(api.urlpatterns, less) == {("billing", "get")}
    without = ADDRESSES | {"tenant": {"get": ADDRESSES["tenant"]["get"]}}
    assert unlisted(api.urlpatterns, without) == {("tenant", "patch")}


class Things:
    """One of everything that an address may name."""

    def __init__(self, member):
        self.rule_id = rule_make(member.tenant_id, name="user-rpm", type="user").id
        self.override_id = override_make(member.tenant_id, self.rule_id).id
        self.key_id = key_make(member.tenant_id).key.id
        self.user_id = colleague_make(member.tenant_id, "viewer", f"vera@{member.slug}.example")
        self.invitation_id = invite(
            tenant_id=member.tenant_id, email="sam@example.com", role="viewer", by_id=member.user_id, by_role="owner",
            now=timezone.now(),
        ).id  # fmt: skip


@pytest.fixture
def things(alice, counters):
    return Things(alice)


def url_of(name, things):
    pattern = next(one for one in api.urlpatterns if one.name == name)
    return reverse(name, kwargs={part: getattr(things, part) for part in PLACED if f":{part}>" in str(pattern.pattern)})


def asked(name, method, things, headers):
    """The answer; what it changed is taken back."""
    body = ADDRESSES[name].get(method, (None, None))[1]
    given = {"If-Match": "*"} | headers
    with transaction.atomic():
        answer = getattr(client(), method)(
            url_of(name, things), headers=given, **({} if body is None else {"data": body}),
            content_type="application/json",
        )  # fmt: skip
        transaction.set_rollback(True)
    return answer


def bearer(secret, **more):
    return {"Authorization": f"Bearer {secret}"} | more


def token_of(user_id):
    return tokens_begin(user_id=user_id, now=timezone.now()).access


def statuses(things, headers):
    return {(name, method): asked(name, method, things, headers).status_code for name, method in CALLS}


def expected(who):
    return {(name, method): who in ADDRESSES[name][method][0] for name, method in CALLS}


def let_in(answers):
    """200 and the like, and 409 for what was done just now; 403 is a refusal, and nothing else comes."""
    assert set(answers.values()) <= {200, 201, 204, 409, 403}, answers
    return {call: status != 403 for call, status in answers.items()}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_may_what_its_scope_says_and_nothing_else(scope, alice, things):
    secret = key_make(alice.tenant_id, scopes=[scope]).secret
    assert let_in(statuses(things, bearer(secret))) == expected(f"key:{scope}")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_its_permissions_say_and_nothing_else(role, alice, things):
    user_id = colleague_make(alice.tenant_id, role, f"{role}@alice.example")
    assert let_in(statuses(things, bearer(token_of(user_id)))) == expected(role)


def _nobody(alice, bob):
    return {}


def _nonsense(alice, bob):
    return bearer("rl_live_nonsense")


def _revoked(alice, bob):
    issued = key_make(alice.tenant_id, scopes=SCOPES)
    with tenant_scope(alice.tenant_id):
        key_revoke(tenant_id=alice.tenant_id, key_id=issued.key.id, now=timezone.now())
    return bearer(issued.secret)


def _expired(alice, bob):
    return bearer(key_make(alice.tenant_id, scopes=SCOPES, expires_at=timezone.now()).secret)


def _suspended(alice, bob):
    secret = key_make(alice.tenant_id, scopes=SCOPES).secret
    tenant_suspend(tenant_id=alice.tenant_id, at=timezone.now())
    return bearer(secret)


def _owner_of_a_suspended(alice, bob):
    tenant_suspend(tenant_id=alice.tenant_id, at=timezone.now())
    return bearer(token_of(alice.user_id))


def _stranger(alice, bob):
    return bearer(token_of(bob.user_id), **{"RL-Tenant": alice.slug})


def _staff(alice, bob):
    staff_id = user_create(email="staff@example.com", password=PASSWORD, is_staff=True)
    return bearer(token_of(staff_id), **{"RL-Tenant": alice.slug})


@pytest.mark.parametrize(
    ("who", "status"),
    [
        (_nobody, 401), (_nonsense, 401), (_revoked, 401), (_expired, 401), (_suspended, 403),
        (_owner_of_a_suspended, 403), (_stranger, 403), (_staff, 403),
    ],
)  # fmt: skip
def test_who_has_no_business_here_is_let_in_nowhere(who, status, alice, bob, things):
    answers = statuses(things, who(alice, bob))
    assert {call: found for call, found in answers.items() if found != status} == {}


def _placed():
    return [(name, method) for name, method in CALLS if any(f":{part}>" in _text(name) for part in PLACED)]


def _text(name):
    return str(next(one for one in api.urlpatterns if one.name == name).pattern)


class Missing:
    rule_id = override_id = key_id = user_id = invitation_id = 10**15


@pytest.mark.parametrize("who", ["key", "person"])
def test_what_is_another_tenants_and_what_is_not_there_are_the_same_bytes(who, alice, bob, things):
    secret = key_make(bob.tenant_id, scopes=SCOPES).secret if who == "key" else token_of(bob.user_id)
    bodies = set()
    assert len(_placed()) > 15
    for name, method in _placed():
        foreign, missing = (asked(name, method, where, bearer(secret)) for where in (things, Missing))
        assert (foreign.status_code, missing.status_code) == (404, 404), (name, method)
        bodies |= {foreign.content, missing.content}
    assert len(bodies) == 1


def test_a_method_that_is_not_in_the_table_is_none(alice, things):
    secret = key_make(alice.tenant_id, scopes=SCOPES).secret
    for name, methods in ADDRESSES.items():
        for method in METHODS:
            if method not in methods:
                answer = asked(name, method, things, bearer(secret))
                assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), (name, method)


@pytest.mark.parametrize("name", CHECKS)
def test_checks_are_for_keys_with_the_scope(name, alice, judge):
    keys = {scope: key_make(alice.tenant_id, scopes=[scope]).secret for scope in SCOPES}
    publishing.sweep(now=timezone.now())
    place = {"check_id": "chk_none"} if name in ("check-refund", "check-release") else {}

    def status(secret):
        body = {"user": "u_1"} if not place else {}
        return client().post(
            reverse(name, kwargs=place), body, content_type="application/json", headers=bearer(secret)
        ).status_code  # fmt: skip

    assert {scope: status(secret) == 403 for scope, secret in keys.items()} == {
        scope: scope != CHECKS[name] for scope in SCOPES
    }
    assert status(keys[CHECKS[name]]) in (200, 404)
    assert status("rl_live_nonsense") == status(token_of(alice.user_id)) == 401
