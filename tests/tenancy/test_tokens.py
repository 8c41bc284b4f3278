"""Tokens of the admin API: who gets one, who gets in with one, and when they end."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.tenants.logins.tokens import (
    TokenInvalid,
    logins_end,
    token_holder,
    tokens_begin,
    tokens_purge,
    tokens_refresh,
    tokens_revoke,
)
from apps.tenants.models import TokenFamily, User
from apps.tenants.permissions import Permission
from apps.tenants.services import membership_put, membership_remove, tenant_suspend
from config.settings.base import ACCOUNT_RATE_LIMITS
from tests.factories import PASSWORD, colleague_make
from tests.tenancy.forgery import FORGERIES, body, claims_of

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def present(monkeypatch):
    """Tokens live for minutes, and the tests before these take longer."""
    monkeypatch.setitem(globals(), "NOW", datetime.now(UTC))


@pytest.fixture
def limited(settings):
    """The limits on logins, which tests go without."""
    settings.ACCOUNT_RATE_LIMITS = ACCOUNT_RATE_LIMITS
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def tokens(alice):
    return tokens_begin(user_id=alice.user_id, now=NOW)


def me(client, token, tenant=None):
    named = {} if tenant is None else {"HTTP_RL_TENANT": tenant}
    return client.get("/api/v1/me", HTTP_AUTHORIZATION=f"Bearer {token}", **named)


def post(client, path, **values):
    return client.post(f"/api/v1/token{path}", values, content_type="application/json")


def dies(access):
    with pytest.raises(TokenInvalid):
        token_holder(access=access, now=NOW)


def test_a_login_answers_with_both_tokens(alice, anonymous):
    answer = post(anonymous, "", email=alice.email.upper(), password=PASSWORD)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert (told["token_type"], told["expires_in"], told["refresh_expires_in"]) == ("Bearer", 300, 14 * 86_400)
    assert "sessionid" not in answer.cookies
    assert me(anonymous, told["access_token"]).json() == {
        "kind": "user", "id": alice.user_id, "role": "owner", "permissions": sorted(Permission),
        "organisation": {"slug": alice.slug, "name": "Alice"},
    }  # fmt: skip


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
def test_a_wrong_login_does_not_say_what_was_wrong(email, alice, anonymous):
    answer = post(anonymous, "", email=email, password="wrong")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert (answer.json()["code"], answer.json()["detail"]) == (
        "login_wrong", "The e-mail address or the password is not right."
    )  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [{}, {"email": 1, "password": 2}, {"email": "a\0", "password": "x"}, {"email": "a", "password": "\ud800"},
     {"email": ["a"], "password": "x"}, {"email": "x" * 1_025, "password": "x"}],
)  # fmt: skip
def test_a_body_that_is_not_valid_is_refused(values, db, anonymous):
    answer = post(anonymous, "", **values)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_a_disabled_account_gets_none(alice, anonymous):
    User.objects.filter(id=alice.user_id).update(is_active=False)
    assert post(anonymous, "", email=alice.email, password=PASSWORD).json()["code"] == "login_wrong"


@pytest.mark.django_db(transaction=True)  # a refusal rolls back
def test_failed_logins_of_an_account_count_together_with_those_of_the_login_page(limited, alice, anonymous):
    for _ in range(2):
        anonymous.post("/accounts/login/", {"login": alice.email, "password": "wrong"})
    for number in range(3):
        answer = post(anonymous, "", email=alice.email, password="wrong")
        assert answer.status_code == 401, number
    answer = post(anonymous, "", email=alice.email, password=PASSWORD)
    assert answer.status_code == 429
    assert answer["Retry-After"] == "60"
    assert answer.json()["code"] == "logins_too_many"
    page = anonymous.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    assert page.status_code == 200
    assert "Too many failed login attempts" in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_failed_logins_of_a_network_count_whatever_the_account(limited, alice, anonymous):
    for number in range(10):
        assert post(anonymous, "", email=f"{number}@example.com", password="wrong").status_code == 401
    assert post(anonymous, "", email=alice.email, password=PASSWORD).status_code == 429


def test_an_access_token_is_looked_up_with_one_query(tokens, alice):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert token_holder(access=tokens.access, now=NOW).user_id == alice.user_id
    assert len(queries) == 1


def refusals(answers):
    """What is wrong about how they were refused; the statuses where nothing is."""
    assert {answer["Content-Type"] for answer in answers.values()} == {"application/problem+json"}
    assert all("Bearer" in answer["WWW-Authenticate"] for answer in answers.values() if answer.status_code == 401)
    return {name: answer.status_code for name, answer in answers.items()}


@pytest.mark.django_db(transaction=True)
def test_a_forged_access_token_is_refused(tokens, anonymous):
    answers = {name: me(anonymous, forge(tokens.access)) for name, forge in FORGERIES.items()}
    assert refusals(answers) == dict.fromkeys(FORGERIES, 401)
    assert me(anonymous, tokens.access).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/refresh", "/revoke"])
def test_a_forged_refresh_token_ends_nothing_and_renews_nothing(path, tokens, anonymous):
    forged = {name: forge(tokens.refresh) for name, forge in FORGERIES.items()}
    answers = {name: post(anonymous, path, refresh_token=token) for name, token in forged.items()}
    assert refusals(answers) == {name: 401 if 0 < len(token) <= 1_024 else 400 for name, token in forged.items()}
    assert list(TokenFamily.objects.values_list("turn", "ended_at")) == [(1, None)]


def test_there_are_thirty_and_more():
    assert len(FORGERIES) > 60


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(tokens):
    dies(tokens.refresh)
    for act in (tokens_refresh, tokens_revoke):
        with pytest.raises(TokenInvalid):
            act(refresh=tokens.access, now=NOW)


def test_another_users_family_is_refused(tokens, bob):
    theirs = tokens_begin(user_id=bob.user_id, now=NOW)
    dies(body(sid=claims_of(theirs.access)["sid"])(tokens.access))
    dies(body(sub=str(bob.user_id))(tokens.access))


def test_a_token_of_an_older_key_still_works_and_of_a_removed_one_does_not(settings, alice, anonymous):
    new, old = settings.TOKEN_KEYS
    settings.TOKEN_KEYS = [old]
    tokens = tokens_begin(user_id=alice.user_id, now=NOW)
    settings.TOKEN_KEYS = [new, old]
    assert token_holder(access=tokens.access, now=NOW).user_id == alice.user_id
    assert [key["kid"] for key in anonymous.get("/.well-known/jwks.json").json()["keys"]] == ["2", "1"]
    settings.TOKEN_KEYS = [new]
    dies(tokens.access)


def test_the_published_keys_hold_no_private_part(anonymous):
    keys = anonymous.get("/.well-known/jwks.json").json()["keys"]
    assert all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in keys)


def test_access_ends_after_five_minutes(tokens):
    assert token_holder(access=tokens.access, now=NOW + timedelta(seconds=299))
    with pytest.raises(TokenInvalid):
        token_holder(access=tokens.access, now=NOW + timedelta(seconds=306))


def test_refreshing_renews_both_and_a_used_refresh_token_ends_the_family(tokens):
    second = tokens_refresh(refresh=tokens.refresh, now=NOW)
    assert token_holder(access=second.access, now=NOW)
    with pytest.raises(TokenInvalid):
        tokens_refresh(refresh=tokens.refresh, now=NOW)
    dies(second.access)
    dies(tokens.access)
    with pytest.raises(TokenInvalid):
        tokens_refresh(refresh=second.refresh, now=NOW)


def test_a_family_ends_after_ninety_days_however_often_it_was_refreshed(tokens):
    now = NOW
    for _ in range(6):
        now += timedelta(days=14) - timedelta(minutes=1)
        tokens = tokens_refresh(refresh=tokens.refresh, now=now)
    assert tokens.refresh_s < 7 * 86_400
    with pytest.raises(TokenInvalid):
        tokens_refresh(refresh=tokens.refresh, now=NOW + timedelta(days=90, seconds=1))
    assert tokens_purge(now=NOW + timedelta(days=91)) == 1


@pytest.mark.django_db(transaction=True)
def test_the_refresh_endpoint_ends_a_family_for_good(tokens, anonymous):
    """Nothing rolls the end back when the refusal is answered."""
    assert post(anonymous, "/refresh", refresh_token=tokens.refresh).status_code == 200
    assert post(anonymous, "/refresh", refresh_token=tokens.refresh).status_code == 401
    assert TokenFamily.objects.get().ended_at is not None


def test_revoking_ends_the_access_token_at_once(tokens, anonymous):
    assert post(anonymous, "/revoke", refresh_token=tokens.refresh).status_code == 204
    assert me(anonymous, tokens.access).status_code == 401


def password_change(user_id):
    user = User.objects.get(id=user_id)
    user.set_password("another horse battery")
    user.save()


@pytest.mark.parametrize(
    "end",
    [
        password_change,
        lambda user_id: logins_end(user_id=user_id),
        lambda user_id: User.objects.filter(id=user_id).update(is_active=False),
        lambda user_id: User.objects.filter(id=user_id).delete(),
    ],
    ids=["password changed", "logged out everywhere", "account disabled", "account deleted"],
)
def test_tokens_end_with_the_login(end, db, tokens, bob):
    user_id = int(claims_of(tokens.access)["sub"])
    if end is not password_change:  # an owner cannot go
        tokens = tokens_begin(user_id=(user_id := colleague_make(bob.tenant_id, "viewer")), now=NOW)
    theirs = tokens_begin(user_id=bob.user_id, now=NOW)
    end(user_id)
    dies(tokens.access)
    with pytest.raises(TokenInvalid):
        tokens_refresh(refresh=tokens.refresh, now=NOW)
    assert token_holder(access=theirs.access, now=NOW).user_id == bob.user_id


def test_a_session_ends_with_all_logins_too(alice, alices):
    assert alices.get("/account").status_code == 200
    logins_end(user_id=alice.user_id)
    assert alices.get("/account").status_code == 302


def test_who_belongs_to_several_names_the_tenant(alice, bob, tokens, anonymous):
    membership_put(tenant_id=bob.tenant_id, user_id=alice.user_id, role="viewer")
    assert me(anonymous, tokens.access, bob.slug).json()["role"] == "viewer"
    assert me(anonymous, tokens.access, alice.slug).json()["role"] == "owner"
    answer = me(anonymous, tokens.access)
    assert answer.status_code == 400
    assert f"{alice.slug}, {bob.slug}" in answer.json()["detail"]


@pytest.mark.parametrize("slug", ["bob", "nowhere", "'; --", "\xe9"])
def test_a_strangers_tenant_is_one_that_is_not_there(slug, bob, tokens, anonymous):
    answer = me(anonymous, tokens.access, slug)
    assert answer.status_code == 403
    assert answer.json()["detail"] == f"you belong to no organisation “{slug}”"


def test_a_member_that_is_removed_is_out_at_once(alice, bob, anonymous):
    user_id = colleague_make(alice.tenant_id, "developer")
    tokens = tokens_begin(user_id=user_id, now=NOW)
    assert me(anonymous, tokens.access, alice.slug).status_code == 200
    membership_remove(tenant_id=alice.tenant_id, user_id=user_id)
    assert me(anonymous, tokens.access, alice.slug).status_code == 403


def test_an_api_key_is_still_read_as_one(alice, anonymous):
    assert me(anonymous, alice.secret).status_code in (200, 403)
    answer = me(anonymous, "rl_test_x")
    assert answer.status_code == 401
    assert answer.json()["detail"] == "the API key is unknown, revoked or expired"


def test_roles_are_those_of_the_portal(alice, anonymous):
    for role, status in (("admin", 200), ("viewer", 403)):  # a refusal rolls back
        tokens = tokens_begin(user_id=colleague_make(alice.tenant_id, role), now=NOW)
        answer = anonymous.get("/api/v1/audit", HTTP_AUTHORIZATION=f"Bearer {tokens.access}")
        assert answer.status_code == status, answer.content


def test_a_suspended_organisation_lets_nobody_in(alice, tokens, anonymous):
    tenant_suspend(tenant_id=alice.tenant_id, at=NOW)
    assert me(anonymous, tokens.access).json()["detail"] == "this tenant is suspended"
