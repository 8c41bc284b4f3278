"""What an allowed check is answered."""

import pytest

from ratelimiter.engine.rules import RuleMode, RuleType
from tests.door.rig import OLD_PEPPER, rule


def test_a_check_that_fits_is_allowed_and_says_what_is_left(door, keyring):
    key = keyring.key(keyring.tenant(rule("user-rpm", limit=100, window_ms=60_000, type=RuleType.USER, key=("user",))))
    answer = door.check(key, user="u_42")
    assert answer.status == 200
    body = answer.json
    assert body["id"].startswith("chk_")
    assert len(body["id"]) == len("chk_") + 24
    assert (body["allowed"], body["reason"], body["degraded"]) == (True, "ok", False)
    assert (body["policy"], body["limit"], body["remaining"], body["retry_after_ms"]) == ("user-rpm", 100, 99, 0)
    assert 0 < body["reset_ms"] <= 60_000
    assert body["results"] == [
        {
            "rule": "user-rpm", "allowed": True, "mode": "enforce", "limit": 100, "remaining": 99,
            "window_ms": 60_000, "reset_ms": body["reset_ms"], "retry_after_ms": 0,
        }
    ]  # fmt: skip
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["rl-decision"] == "allow"
    assert answer.headers["ratelimit-policy"] == '"user-rpm";q=100;w=60'
    assert answer.headers["ratelimit"] == f'"user-rpm";r=99;t={-(-body["reset_ms"] // 1_000)}'
    assert answer.headers["date"].endswith("GMT")
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("path", ["/check", "/v1/check?trace=1", "http://door/v1/check"])
def test_the_check_has_an_alias_and_takes_every_form_of_target(door, keyring, path):
    assert door.check(keyring.key(keyring.tenant(rule())), path=path).status == 200


def test_the_key_may_come_in_its_own_header(door, keyring):
    key = keyring.key(keyring.tenant(rule()))
    assert door.check(headers={"X-API-Key": key}).status == 200
    assert door.check(headers={"x-api-key": key}).status == 200
    assert door.check(headers={"authorization": f"bearer {key}"}).status == 200


def test_a_remembered_header_is_not_mistaken_for_the_other_one(door, keyring):
    key = keyring.key(keyring.tenant(rule()))
    assert door.check(key).status == 200
    assert door.check(headers={"X-API-Key": f"Bearer {key}"}).status == 401
    assert door.check(headers={"Authorization": key}).status == 401


def test_a_key_made_with_an_older_pepper_still_works(door, keyring):
    assert door.check(keyring.key(keyring.tenant(rule()), pepper=OLD_PEPPER)).status == 200


def test_a_tenant_without_rules_is_allowed_without_a_policy(door, keyring):
    answer = door.check(keyring.key(keyring.tenant()))
    assert answer.status == 200
    assert (answer.json["reason"], answer.json["policy"], answer.json["results"]) == ("no_rule", None, [])
    assert "ratelimit" not in answer.headers
    assert answer.headers["rl-decision"] == "allow"


def test_test_keys_count_apart_from_live_ones(door, keyring):
    tenant = keyring.tenant(rule(limit=10))
    assert door.check(keyring.key(tenant)).json["remaining"] == 9
    assert door.check(keyring.key(tenant, live=False)).json["remaining"] == 9
    assert door.check(keyring.key(tenant)).json["remaining"] == 8


def test_a_peek_takes_nothing_and_a_report_goes_past_the_limit(door, keyring):
    key = keyring.key(keyring.tenant(rule(limit=2)))
    assert door.check(key, mode="peek", cost=2).json["remaining"] == 0
    assert door.check(key, mode="report", cost=5).json["remaining"] == 0
    assert door.check(key, mode="peek").status == 429


def test_a_shadow_rule_shows_its_denial_and_changes_nothing(door, keyring):
    key = keyring.key(keyring.tenant(rule("real"), rule("tried", limit=1, mode=RuleMode.SHADOW)))
    door.check(key)
    answer = door.check(key)
    assert answer.status == 200
    assert [(result["rule"], result["allowed"]) for result in answer.json["results"]] == [
        ("real", True),
        ("tried", False),
    ]
    assert "tried" not in answer.headers["ratelimit"]


def test_more_than_ten_matching_rules_are_cut_and_said_so(door, keyring):
    key = keyring.key(keyring.tenant(*[rule(f"r{number}") for number in range(11)]))
    body = door.check(key).json
    assert body["truncated"] is True
    assert len(body["results"]) == 10


@pytest.mark.parametrize(
    ("sent", "kept"), [("abc-1.2_3", True), ("a" * 128, True), ("a" * 129, False), ("no spaces", False), ("<x>", False)]
)
def test_a_valid_request_id_comes_back_and_another_is_replaced(door, keyring, sent, kept):
    answer = door.check(keyring.key(keyring.tenant(rule())), headers={"X-Request-Id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert answer.headers["x-request-id"]


def test_health_and_readiness_answer(door):
    assert door.get("/healthz").json == {"status": "ok"}
    assert door.get("/readyz").json == {"status": "ready", "counters": True, "snapshots": True, "serving": True}


def test_a_head_request_gets_the_head_only(door):
    from tests.door.rig import Reader, request_bytes

    with door.connect() as connection:
        connection.sendall(
            request_bytes("HEAD", "/healthz") + request_bytes("HEAD", "/nope") + request_bytes("GET", "/healthz")
        )
        reader = Reader(connection)
        assert reader.response(head=True).headers["content-length"] == "15"
        assert reader.response(head=True).status == 404
        assert reader.response().json == {"status": "ok"}


def test_a_batch_answers_each_entry_on_its_own_and_in_order(door, keyring):
    key = keyring.key(keyring.tenant(rule("user-2", limit=2, type=RuleType.USER, key=("user",))))
    entries = [{"user": "a"}, {"user": "a"}, {"user": 1}, {"user": "a"}, {"user": "b"}, {"namespace": "nope"}]
    answer = door.check(key, path="/v1/check/batch", checks=entries)
    assert answer.status == 200
    assert answer.headers["rl-decision"] == "none"
    results = answer.json["results"]
    assert [result["status"] for result in results] == [200, 200, 400, 429, 200, 404]
    assert [result.get("remaining") for result in results] == [1, 0, None, 0, 1, None]
    assert results[2]["errors"] == [{"pointer": "/user", "message": "expected `str | null`, got `int`"}]
    assert results[3]["violated-policies"] == ["user-2"]


def test_a_batch_of_a_hundred_checks_of_ten_rules_keeps_its_order(door, keyring):
    key = keyring.key(keyring.tenant(*[rule(f"r{number}", limit=1_000) for number in range(10)]))
    results = door.check(key, path="/v1/check/batch", checks=[{}] * 100).json["results"]
    assert [result["remaining"] for result in results] == list(range(999, 899, -1))
