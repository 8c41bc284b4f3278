"""What is published is whole on every topology, and doors follow it to wherever it goes."""

import time

import pytest

from ratelimiter.engine import keys
from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import prepare
from ratelimiter.snapshot.keyring import keys_last_used
from ratelimiter.snapshot.publish import Publisher
from ratelimiter.store.live import live_totals
from ratelimiter.store.slots import key_slot
from ratelimiter.store.sync import SyncStore
from tests.door.rig import rule, wait_until
from tests.topologies.parts import slots_move_at_once
from tests.topologies.traffic import Traffic

PUBLISHED = key_slot(keys.SNAPSHOT_CHANGES.encode())


def test_everything_published_is_in_one_slot():
    names = [value for name, value in vars(keys).items() if name.startswith(("SNAPSHOT_", "KEYRING_", "DOORS"))]
    names += [keys.snapshot(7), keys.keyring_entry("1:ab")]
    assert len(names) == 9
    assert {key_slot(name.encode()) for name in names} == {PUBLISHED}


def test_what_is_published_is_read_and_counts_of_tenants_arrive(either, served):
    house = served(either)
    tenants = [house.keyring.tenant(rule(limit=10)) for _ in range(6)]
    secrets = {house.keyring.key(tenant): tenant for tenant in tenants}
    assert [house.door.check(secret).json["remaining"] for secret in secrets] == [9] * 6
    house.keyring.rules(tenants[0], rule(limit=5))
    house.settle()
    first, last = min(secrets), max(secrets)
    assert house.door.check(next(iter(secrets))).json["limit"] == 5
    house.keyring.revoke(last)
    house.settle()
    assert [house.door.check(secret).status for secret in (first, last)] == [200, 401]
    now = _today()
    wait_until(lambda: sum(live_totals(either.client, tenant=t, first=now, last=now).checks for t in tenants) == 8)
    assert all(keys_last_used(either.client, tenant=tenant) for tenant in tenants)


def test_the_sweeps_questions_are_answered(either):
    from tests.door.rig import Keyring

    keyring = Keyring(either)
    tenant = keyring.tenant(rule())
    secret = keyring.key(tenant)
    publisher = Publisher(either.client)
    assert publisher.revisions_held()[tenant] >= 1
    held = {digest: owner for page in publisher.digests_held() for digest, owner in page.items()}
    assert tenant in held.values()
    assert publisher.keyring_is_complete()
    assert publisher.keys_differing(dict.fromkeys(held)) == list(held)
    publisher.snapshot_withdraw(tenant)
    assert tenant not in publisher.revisions_held()
    keyring.revoke(secret)


@pytest.mark.slow
def test_doors_follow_published_data_that_moves(cluster, served):
    house = served(cluster)
    tenant = house.keyring.tenant(rule(limit=1_000_000))
    source = cluster.owner(PUBLISHED)
    target = next(server for server in cluster.masters if server is not source)
    with Traffic(house.door, [house.keyring.key(tenant)]) as traffic:
        traffic.wait_for(5)
        slots_move_at_once(source, target, PUBLISHED, PUBLISHED)
        fresh = house.door.check(house.keyring.key(tenant))
        house.keyring.rules(tenant, rule(limit=77))
        house.settle()
        traffic.wait_for(5)
    assert fresh.status == 200
    assert {seen.status for seen in traffic.answers} == {200}
    assert traffic.answers[-1].body["limit"] == 77


@pytest.mark.slow
def test_doors_follow_published_data_whose_master_dies(either, served):
    house = served(either)
    tenant = house.keyring.tenant(rule(limit=1_000_000))
    key = house.keyring.key(tenant)
    with Traffic(house.door, [key]) as traffic:
        traffic.wait_for(20)
        house.settle()
        either.owner(PUBLISHED).kill()
        wait_until(lambda: house.keyring.rules(tenant, rule(limit=77)), within_s=15, what="the failover")
        wait_until(lambda: traffic.answers[-1].body["limit"] == 77, what="the change")
        wait_until(lambda: house.door.check(house.keyring.key(tenant)).status == 200, what="a new key")
    assert {seen.status for seen in traffic.answers} == {200}


def test_checks_that_wait_are_counted_on_every_topology(either):
    store = SyncStore(either.url, workers=1)
    for tenant in (900_001, 900_002, 900_003):
        rules = RuleSet(tenant, [rule("all", limit=3), rule("more", limit=5)])
        either.client.delete(*prepare(rules, Check(), live=True, now_ms=0, check_id="chk_00").keys)
        either.client.script_flush()
        found = [store.decide(prepare(rules, Check(), live=True, now_ms=0, check_id="chk_00")) for _ in range(4)]
        assert [(decision.allowed, decision.degraded) for decision in found] == [(True, False)] * 3 + [(False, False)]


@pytest.mark.slow
def test_checks_that_wait_degrade_and_recover_when_a_master_dies(either):
    store = SyncStore(either.url, workers=1)
    prepared = prepare(
        RuleSet(900_004, [rule("all", limit=1_000_000)]), Check(), live=True, now_ms=0, check_id="chk_00"
    )
    assert store.decide(prepared).degraded is False
    either.owner(key_slot(prepared.keys[0])).kill()
    longest_s = 0.0

    def is_back():
        nonlocal longest_s
        begun = time.monotonic()
        decision = store.decide(prepared)
        longest_s = max(longest_s, time.monotonic() - begun)
        return not decision.degraded

    assert not is_back()
    wait_until(is_back, within_s=15, what="the failover")
    assert longest_s < 1.0


def _today():
    from datetime import UTC, datetime

    return datetime.now(UTC)
