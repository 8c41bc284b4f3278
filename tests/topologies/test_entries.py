"""Whatever a check touches is found on a cluster: shards, quotas without rules, records, what is given back."""

import json

from ratelimiter.engine.matching import Sharding
from ratelimiter.engine.quota import Quota
from ratelimiter.engine.rules import Algorithm, RuleType
from tests.door.rig import rule


def post(door, key, path, body=b""):
    return door.request("POST", path, body, {"Authorization": f"Bearer {key}"})


def test_a_tenant_on_several_slots_counts_each_user_exactly_and_gives_back(cluster, served):
    house = served(cluster)
    tenant = house.keyring.tenant(
        rule("each", limit=5, type=RuleType.USER, key=("user",)), sharding=Sharding("user", 8)
    )
    key = house.keyring.key(tenant, scopes=("check", "refund"))
    for user in (f"u{number}" for number in range(12)):
        answers = [house.door.check(key, user=user, refundable=True) for _ in range(6)]
        assert [answer.status for answer in answers] == [200] * 5 + [429]
        assert not any(answer.json["degraded"] for answer in answers)
        refunded = post(
            house.door, key, f"/v1/checks/{answers[0].json['id']}/refund", json.dumps({"amount": 1}).encode()
        )
        assert (refunded.status, refunded.json["refunded"]) == (200, 1)
        again = house.door.check(key, user=user)
        assert (again.json["degraded"], again.status) == (False, 200)
    holders = [server for server in cluster.masters if server.client.keys("ratelimit:*")]
    assert len(holders) > 1


def test_a_quota_and_a_record_without_any_rule_are_kept(cluster, served):
    house = served(cluster)
    keys = [house.keyring.key(house.keyring.tenant(quota=Quota("2026-11", 2))) for _ in range(4)]
    for key in keys:
        once = {"Idempotency-Key": "order-1"}
        first, again = house.door.check(key, headers=once), house.door.check(key, headers=once)
        assert (first.status, first.body) == (again.status, again.body)
        assert [house.door.check(key).status for _ in range(2)] == [200, 402]


def test_slots_that_are_held_are_released(cluster, served):
    house = served(cluster)
    for _ in range(4):
        held = rule("jobs", limit=1, window_ms=60_000, algorithm=Algorithm.CONCURRENCY)
        key = house.keyring.key(house.keyring.tenant(held))
        first = house.door.check(key)
        assert (first.status, house.door.check(key).status) == (200, 429)
        assert post(house.door, key, f"/v1/checks/{first.json['id']}/release").status == 200
        assert house.door.check(key).status == 200
