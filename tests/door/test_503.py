"""When the door cannot judge it says so: 503, never 401, and it heals by itself."""

from ratelimiter.engine import keys
from ratelimiter.snapshot.keyring import key_generate
from ratelimiter.snapshot.model import Identity
from tests.door.rig import rule, wait_until


def unavailable(answer):
    return answer.status == 503 and (
        answer.json["code"], answer.headers["rl-decision"], answer.headers["retry-after"],
    ) == ("unavailable", "none", "1")  # fmt: skip


def test_after_a_loss_known_keys_work_and_unknown_ones_are_not_judged(start):
    house = start()
    known, fresh = (house.keyring.key(house.keyring.tenant(rule(limit=10))) for _ in range(2))
    house.settle()  # or the news of the key could make the door look it up once more, when it is lost
    assert house.door.check(known).json["remaining"] == 9
    house.valkey.client.flushall()
    for _ in range(20):
        assert unavailable(house.door.check(fresh))
        assert unavailable(house.door.check(key_generate(live=True)))
    assert house.door.check(known).json["remaining"] == 9
    assert house.door.check(known).json["remaining"] == 8
    house.keyring.republish()
    wait_until(lambda: house.door.check(fresh).status == 200, within_s=5)
    assert house.door.check(known).json["remaining"] == 7
    assert house.door.check(key_generate(live=True)).status == 401


def test_a_key_revoked_while_the_data_was_lost_is_refused_once_the_keyring_is_complete(start):
    house = start()
    revoked, kept = (house.keyring.key(house.keyring.tenant(rule())) for _ in range(2))
    house.settle()
    assert {house.door.check(key).status for key in (revoked, kept)} == {200}
    house.valkey.client.flushall()
    house.keyring.revoke(revoked)
    house.valkey.client.flushall()  # the announcement is lost too
    house.keyring.republish()
    wait_until(lambda: house.door.check(revoked).status == 401, within_s=15)
    assert house.door.check(kept).status == 200


def test_an_unfinished_keyring_makes_no_key_unknown(start):
    house = start()
    house.valkey.client.delete(keys.KEYRING_COMPLETE)
    key = key_generate(live=True)
    assert unavailable(house.door.check(key))
    house.keyring.complete()
    assert house.door.check(key).status == 401


def test_a_marker_of_another_epoch_completes_nothing(start):
    house = start()
    house.valkey.client.set(keys.KEYRING_COMPLETE, "another")
    assert unavailable(house.door.check(key_generate(live=True)))


def test_a_tenant_without_a_snapshot_is_unavailable_until_it_has_one(house):
    key = key_generate(live=True)
    tenant = 777_777
    from ratelimiter.snapshot.keyring import key_digest
    from tests.door.rig import PEPPER

    house.keyring.publisher.key_publish(key_digest(key, PEPPER), Identity(tenant, 1, True, ("check",)), tenant=tenant)
    assert unavailable(house.door.check(key))
    house.keyring.rules(tenant, rule())
    wait_until(lambda: house.door.check(key).status == 200, within_s=2)


def test_when_redis_is_away_known_keys_are_served_and_others_are_not_judged(start):
    house = start()
    known, fresh = (house.keyring.key(house.keyring.tenant(rule())) for _ in range(2))
    house.settle()
    assert house.door.check(known).status == 200
    house.valkey.kill()
    wait_until(lambda: unavailable(house.door.check(fresh)), within_s=2)
    answer = house.door.check(known)
    assert (answer.status, answer.json["degraded"]) == (200, True)
    wait_until(lambda: house.door.get("/readyz").status == 503, within_s=2)
    assert house.door.get("/healthz").status == 200


def test_a_snapshot_that_cannot_be_read_never_replaces_a_good_one(start):
    house = start()
    tenant = house.keyring.tenant(rule("good", limit=10))
    key = house.keyring.key(tenant)
    assert house.door.check(key).json["policy"] == "good"
    house.valkey.client.set(keys.snapshot(tenant), b"\xff\xff")
    seq = house.valkey.client.incr(keys.SNAPSHOT_SEQUENCE)
    epoch = house.valkey.client.get(keys.SNAPSHOT_EPOCH)
    entry = {"epoch": epoch, "seq": seq, "kind": "tenant", "tenant": tenant, "digest": ""}
    house.valkey.client.xadd(keys.SNAPSHOT_CHANGES, entry)
    from tests.door.test_propagation import applied

    wait_until(lambda: applied(house) >= seq)
    assert house.door.check(key).json["policy"] == "good"
    house.keyring.rules(tenant, rule("better"))
    wait_until(lambda: house.door.check(key).json["policy"] == "better", within_s=1)
