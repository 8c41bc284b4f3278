"""Callers that are nobody."""

import time

import pytest

from ratelimiter.snapshot.keyring import key_generate
from tests.door.rig import rule, wait_until


def unauthenticated(answer):
    return answer.status == 401 and (
        answer.json["code"],
        answer.headers["rl-decision"],
        answer.headers["www-authenticate"],
    ) == ("unauthenticated", "none", "Bearer")


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        "Bearer rl_live_short",
        "rl_live_" + "0" * 38,
        "Bearer \xe9\xe9",
        "Bearer a b",
    ],
)
def test_what_is_no_key_is_refused(door, credential):
    assert unauthenticated(door.check(headers={"Authorization": credential}))


def test_no_key_at_all_is_refused_with_a_hint(door):
    answer = door.check()
    assert unauthenticated(answer)
    assert "Authorization: Bearer" in answer.json["detail"]


def test_a_wrong_checksum_costs_no_io(house):
    key = key_generate(live=True)
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    before = house.valkey.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
    for _ in range(20):
        assert unauthenticated(house.door.check(wrong))
    after = house.valkey.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
    assert after - before <= 8  # the watch's own, every few seconds


def test_an_unknown_key_is_looked_up_once_in_a_while(house):
    key = key_generate(live=True)
    before = house.valkey.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
    for _ in range(30):
        assert unauthenticated(house.door.check(key))
    after = house.valkey.client.info("commandstats")["cmdstat_mget"]["calls"]
    assert after - before <= 8


def test_a_key_that_was_unknown_works_as_soon_as_it_is_published(door, keyring, monkeypatch):
    tenant = keyring.tenant(rule())
    key = key_generate(live=True)
    assert unauthenticated(door.check(key))
    monkeypatch.setattr("tests.door.rig.key_generate", lambda *, live: key)
    assert keyring.key(tenant) == key
    wait_until(lambda: door.check(key).status == 200, within_s=1)


def test_a_revoked_key_is_refused_within_a_second(door, keyring):
    worst_s = 0.0
    for _ in range(10):
        key = keyring.key(keyring.tenant(rule()))
        assert door.check(key).status == 200
        keyring.revoke(key)
        revoked_at = time.monotonic()
        wait_until(lambda key=key: unauthenticated(door.check(key)), within_s=1)
        worst_s = max(worst_s, time.monotonic() - revoked_at)
    assert worst_s < 1


def test_a_key_is_refused_from_the_moment_it_expires(door, keyring):
    tenant = keyring.tenant(rule())
    key = keyring.key(tenant, expires_at_ms=int(time.time() * 1_000) + 300)
    assert door.check(key).status == 200
    wait_until(lambda: unauthenticated(door.check(key)), within_s=2)
    assert "expired" in door.check(key).json["detail"]
