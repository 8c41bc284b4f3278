"""The check endpoint of Django: the door's answers, word for word, from the same engine."""

import json
from http import HTTPStatus

import pytest
from django.utils import timezone
from redis import Redis
from redis.exceptions import ConnectionError as RedisGone

from apps.apikeys.services import key_revoke
from apps.core.scope import tenant_scope
from apps.limits import judge as judging
from apps.limits import publishing
from apps.tenants.services import tenant_suspend
from ratelimiter.engine import keys
from ratelimiter.events.spool import spool_read
from ratelimiter.snapshot.keyring import key_generate
from tests.factories import key_make, rule_make

URL = "/api/v1/check"
CHAT = {"route": "POST /v1/chat", "user": "u_42"}


@pytest.fixture
def member(alice, judge):
    rule_make(alice.tenant_id, name="chat", type="user", match={"route": "POST /v1/chat"}, limit=2, window_ms=60_000)
    publishing.sweep(now=timezone.now())
    return alice


@pytest.fixture
def check(client):
    """Asks, and returns the response; bodies that are no dict go as they are."""

    def check(secret, body=CHAT, **headers):
        raw = json.dumps(body) if isinstance(body, dict) else body
        given = {"authorization": f"Bearer {secret}"} if secret else {}
        return client.post(URL, raw, content_type="application/json", headers=given | headers)

    return check


def problem(response):
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["RL-Decision"] == "none"
    assert response.headers["X-Request-Id"]
    found = json.loads(response.content)
    assert found["status"] == response.status_code
    return found


def test_200_allows_with_the_fields_of_the_contract(member, check):
    response = check(member.secret)
    assert response.status_code == HTTPStatus.OK
    body = json.loads(response.content)
    assert body["id"].startswith("chk_")
    assert (body["allowed"], body["reason"], body["degraded"]) == (True, "ok", False)
    assert (body["policy"], body["limit"], body["remaining"]) == ("chat", 2, 1)
    assert response.headers["RateLimit-Policy"] == '"chat";q=2;w=60'
    assert response.headers["RateLimit"].startswith('"chat";r=1;t=')
    assert response.headers["RL-Decision"] == "allow"


def test_429_denies_and_names_the_rule(member, check):
    check(member.secret)
    check(member.secret)
    response = check(member.secret)
    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert response.headers["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    assert (body["allowed"], body["reason"], body["violated-policies"]) == (False, "limit_exceeded", ["chat"])
    assert response.headers["RL-Decision"] == "deny"
    assert int(response.headers["Retry-After"]) >= body["retry_after_ms"] / 1_000


def test_200_without_a_rule_says_so(bob, member, check):
    response = check(bob.secret)
    assert (response.status_code, json.loads(response.content)["reason"]) == (200, "no_rule")


def test_a_rule_change_decides_the_next_check(member, check):
    assert json.loads(check(member.secret).content)["limit"] == 2
    rule_make(member.tenant_id, name="tight", limit=1, priority=9)
    publishing.snapshot_publish(tenant_id=member.tenant_id, now=timezone.now())
    assert json.loads(check(member.secret).content)["policy"] == "tight"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"cost": 0}, "/cost"),
        ({"cost": "1"}, "/cost"),
        ({"moon": 1}, "/moon"),
        ({"ip": "300.0.0.1"}, "/ip"),
        ({"user": "u" * 257}, "/user"),
        ({"rules": ["nope"]}, "/rules/0"),
        ({"attributes": {"a": 1}}, "/attributes/a"),
        (b"", ""),
        (b"{", ""),
        (b'{"cost": NaN}', ""),
        (b'{"user": "\\ud800"}', "/user"),
        (b"\xff", ""),
        (b"[]", ""),
    ],
)
def test_400_names_the_field(member, check, body, pointer):
    response = check(member.secret, body)
    assert response.status_code == HTTPStatus.BAD_REQUEST
    found = problem(response)
    assert (found["code"], found["errors"][0]["pointer"]) == ("invalid_request", pointer)


def test_400_for_two_credentials(member, check):
    assert problem(check(member.secret, **{"x-api-key": member.secret}))["code"] == "invalid_request"
    assert check(None, authorization=f"Bearer {member.secret},Bearer {member.secret}").status_code == 400


def test_the_other_header_works_too(member, check):
    assert check(None, **{"x-api-key": member.secret}).status_code == HTTPStatus.OK


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic YTpi", "Bearer rl_live_" + "0" * 38, "Bearer"])
def test_401_for_what_cannot_be_a_key(member, check, header):
    response = check(None, **({"authorization": header} if header else {}))
    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert problem(response)["code"] == "unauthenticated"


def test_401_for_unknown_and_revoked_keys_once_the_keyring_is_complete(member, check):
    assert check(key_generate(live=True)).status_code == HTTPStatus.UNAUTHORIZED
    issued = key_make(member.tenant_id)
    publishing.sweep(now=timezone.now())
    assert check(issued.secret).status_code == HTTPStatus.OK
    with tenant_scope(member.tenant_id):
        key_revoke(tenant_id=member.tenant_id, key_id=issued.key.id, now=timezone.now())
    publishing.key_publish(tenant_id=member.tenant_id, key_id=issued.key.id, now=timezone.now())
    assert check(issued.secret).status_code == HTTPStatus.UNAUTHORIZED


def test_401_for_an_expired_key(member, check):
    issued = key_make(member.tenant_id, expires_at=timezone.now())
    publishing.sweep(now=timezone.now())
    assert "expired" in problem(check(issued.secret))["detail"]


def test_403_without_the_scope_and_for_a_suspended_tenant(member, check):
    reader = key_make(member.tenant_id, scopes=["read"])
    publishing.sweep(now=timezone.now())
    response = check(reader.secret)
    assert (response.status_code, problem(response)["code"]) == (403, "forbidden")
    tenant_suspend(tenant_id=member.tenant_id, at=timezone.now())
    publishing.snapshot_publish(tenant_id=member.tenant_id, now=timezone.now())
    assert check(member.secret).status_code == HTTPStatus.FORBIDDEN


def test_404_for_an_unknown_namespace_405_for_other_methods_413_for_large_bodies(member, check, client):
    assert check(member.secret, {"namespace": "nowhere"}).status_code == HTTPStatus.NOT_FOUND
    response = client.get(URL)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert problem(response)["code"] == "method_not_allowed"
    response = check(member.secret, b'{"user": "' + b"u" * 17_000 + b'"}')
    assert (response.status_code, problem(response)["code"]) == (413, "too_large")


def test_503_never_401_while_the_keyring_is_not_complete(member, check, counters):
    counters.flushall()
    response = check(key_generate(live=True))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert problem(response)["code"] == "unavailable"
    publishing.sweep(now=timezone.now())
    assert check(key_generate(live=True)).status_code == HTTPStatus.UNAUTHORIZED


def test_what_worked_goes_on_working_after_redis_lost_everything(member, check, counters):
    assert check(member.secret).status_code == HTTPStatus.OK
    counters.flushall()
    assert check(member.secret).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    ("on_failure", "status", "reason"),
    [("open", 200, "fallback_open"), ("closed", 429, "fallback_closed"), ("local", 200, "ok")],
)
def test_without_redis_a_known_caller_is_answered_by_the_rules_policy(
    bob, judge, check, monkeypatch, on_failure, status, reason
):
    rule_make(bob.tenant_id, limit=100, on_failure=on_failure)
    publishing.sweep(now=timezone.now())
    assert check(bob.secret).status_code == HTTPStatus.OK

    def refuse(*_, **__):
        raise RedisGone("gone")

    monkeypatch.setattr(Redis, "execute_command", refuse)
    response = check(bob.secret)
    body = json.loads(response.content)
    assert (response.status_code, body["reason"], body["degraded"]) == (status, reason, True)
    assert check(key_generate(live=True)).status_code == HTTPStatus.SERVICE_UNAVAILABLE


def test_a_check_leaves_one_event_and_is_counted_a_peek_leaves_nothing(member, check, counters):
    answered = json.loads(check(member.secret).content)["id"]
    check(member.secret, CHAT | {"mode": "peek"})
    judging.judge()._spool.close()
    folder = judging.judge()._spool._folder
    events = [event for _boot, group in spool_read(folder) for event in group.events]
    assert [event.id for event in events] == [answered]
    assert (events[0].tenant, events[0].live, events[0].user) == (member.tenant_id, False, "u_42")
    (name,) = counters.keys(f"live:{{{member.tenant_id}}}:*")
    assert counters.hgetall(name) == {b"checks": b"1", b"allowed": b"1"}
    assert len(counters.hgetall(keys.key_last_used(member.tenant_id))) == 1
    judging.judge.cache_clear()


def test_a_callers_request_id_comes_back_when_it_is_one(member, check):
    assert check(member.secret, **{"x-request-id": "abc-1.2:3"}).headers["X-Request-Id"] == "abc-1.2:3"
    assert check(member.secret, **{"x-request-id": "no spaces"}).headers["X-Request-Id"].startswith("req_")


@pytest.fixture
def companion(client):
    """Asks one of the other addresses of the check API."""

    def ask(secret, path, body=b"{}"):
        raw = json.dumps(body) if isinstance(body, dict) else body
        return client.post(
            f"/api/v1/{path}", raw, content_type="application/json", headers={"authorization": f"Bearer {secret}"}
        )

    return ask


def test_a_refund_needs_its_scope_and_gives_back_once(member, check, companion):
    refunding = key_make(member.tenant_id, live=False, scopes=["check", "refund"]).secret
    publishing.sweep(now=timezone.now())
    made = json.loads(check(refunding, CHAT | {"refundable": True, "cost": 2}).content)["id"]
    assert companion(member.secret, f"checks/{made}/refund").status_code == HTTPStatus.FORBIDDEN
    for _ in range(2):
        response = companion(refunding, f"checks/{made}/refund")
        assert json.loads(response.content) == {"id": made, "refunded": 2}
    assert json.loads(check(refunding).content)["remaining"] == 1


def test_companions_answer_other_methods_with_405(member, client):
    for path in ("check/explain", "checks/chk_00000000/refund", "checks/chk_00000000/release"):
        response = client.get(f"/api/v1/{path}")
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
        assert response.headers["RL-Decision"] == "none"


def test_an_explanation_counts_nothing_and_leaves_no_event(member, check, companion, counters):
    explained = json.loads(companion(member.secret, "check/explain", CHAT).content)
    assert explained["decision"]["remaining"] == 1
    assert explained["explanation"]["rules"][0]["why"] == "It matches and counts the check."
    assert json.loads(check(member.secret).content)["remaining"] == 1
    (name,) = counters.keys(f"live:{{{member.tenant_id}}}:*")
    assert counters.hgetall(name) == {b"checks": b"1", b"allowed": b"1"}


def test_a_repeat_is_an_event_again_and_counted_once(member, check, counters):
    first, again = (check(member.secret, **{"idempotency-key": "k-1"}) for _ in range(2))
    assert first.content == again.content
    judging.judge()._spool.close()
    events = [event for _boot, group in spool_read(judging.judge()._spool._folder) for event in group.events]
    assert len({event.id for event in events}) == 1
    assert len(events) == 2
    (name,) = counters.keys(f"live:{{{member.tenant_id}}}:*")
    assert counters.hgetall(name) == {b"checks": b"1", b"allowed": b"1"}
    judging.judge.cache_clear()


def test_giving_back_without_redis_is_503(member, check, companion, monkeypatch):
    assert check(member.secret).status_code == HTTPStatus.OK

    def refuse(*_, **__):
        raise RedisGone("gone")

    monkeypatch.setattr(Redis, "execute_command", refuse)
    response = companion(member.secret, "checks/chk_0000000000000000/release")
    assert (response.status_code, problem(response)["code"]) == (503, "unavailable")


def test_the_schema_describes_it_with_examples(client, db):
    response = client.get("/api/schema?format=json")
    operation = json.loads(response.content)["paths"]["/api/v1/check"]["post"]
    assert operation["operationId"] == "check"
    assert set(operation["responses"]) == {"200", "400", "401", "402", "403", "404", "413", "422", "429", "503"}
    assert [parameter["name"] for parameter in operation["parameters"]] == ["Idempotency-Key"]
    assert {"limits", "refundable"} <= set(
        operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    )
    assert "A user asks for a chat completion".replace(" ", "") in str(operation["requestBody"]).replace(" ", "")
    assert "application/problem+json" in operation["responses"]["429"]["content"]
    paths = json.loads(response.content)["paths"]
    for path in ("/api/v1/check/explain", "/api/v1/checks/{check_id}/refund", "/api/v1/checks/{check_id}/release"):
        assert {"200", "401", "403", "404", "503"} <= set(paths[path]["post"]["responses"])
