"""What a denied check is answered."""

import time

from ratelimiter.engine.rules import Algorithm
from tests.door.rig import rule


def test_a_denial_names_the_rule_and_when_to_come_back(door, keyring):
    key = keyring.key(keyring.tenant(rule("wide"), rule("narrow", limit=1, window_ms=60_000)))
    door.check(key)
    answer = door.check(key)
    assert answer.status == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["rl-decision"] == "deny"
    body = answer.json
    assert body["type"].endswith("#quota-exceeded")
    assert (body["status"], body["violated-policies"]) == (429, ["narrow"])
    assert (body["allowed"], body["reason"], body["policy"], body["remaining"]) == (
        False,
        "limit_exceeded",
        "narrow",
        0,
    )
    assert body["reset_ms"] == body["retry_after_ms"] > 0
    assert int(answer.headers["retry-after"]) == -(-body["retry_after_ms"] // 1_000)


def test_a_denial_takes_nothing_from_any_rule(door, keyring):
    key = keyring.key(keyring.tenant(rule("wide", limit=10), rule("narrow", limit=1)))
    door.check(key)
    for _ in range(5):
        assert door.check(key).status == 429
    assert door.check(key, mode="peek", rules=["wide"]).json["remaining"] == 8


def test_a_cost_above_the_limit_can_never_pass(door, keyring):
    answer = door.check(keyring.key(keyring.tenant(rule("small", limit=5))), cost=6)
    assert answer.status == 429
    assert (answer.json["reason"], answer.json["retry_after_ms"]) == ("cost_exceeds_limit", None)
    assert "retry-after" not in answer.headers


def test_waiting_as_long_as_told_is_enough(door, keyring):
    key = keyring.key(keyring.tenant(rule(limit=20, window_ms=1_000, algorithm=Algorithm.TOKEN_BUCKET)))
    assert door.check(key, cost=20).status == 200
    answer = door.check(key)
    assert answer.status == 429
    time.sleep(answer.json["retry_after_ms"] / 1_000)
    assert door.check(key).status == 200
