"""How a change reaches the doors, and how the control plane knows that it has."""

import time

import msgspec

from ratelimiter.engine import keys
from ratelimiter.snapshot.watch import Heartbeat
from tests.door.rig import heartbeats, rule, wait_until


def beats(house):
    return [msgspec.msgpack.decode(blob, type=Heartbeat) for blob in heartbeats(house.valkey).values()]


def applied(house):
    return min((beat.seq for beat in beats(house)), default=-1)


def test_a_rule_change_decides_differently_within_a_second(house):
    tenant = house.keyring.tenant(rule("v0", limit=10))
    key = house.keyring.key(tenant)
    assert house.door.check(key).json["policy"] == "v0"
    worst_s = 0.0
    for version in range(1, 21):
        house.keyring.rules(tenant, rule(f"v{version}", limit=10 + version))
        published_at = time.monotonic()
        wait_until(lambda version=version: house.door.check(key).json["policy"] == f"v{version}", within_s=1)
        worst_s = max(worst_s, time.monotonic() - published_at)
    assert worst_s < 1


def test_the_heartbeat_says_what_is_live_in_every_worker(start):
    house = start(workers=2)
    wait_until(lambda: len(beats(house)) == 2)
    tenant = house.keyring.tenant(rule())
    seq = house.keyring.rules(tenant, rule())
    wait_until(lambda: applied(house) >= seq, within_s=1)
    for door, blob in heartbeats(house.valkey).items():
        beat = msgspec.msgpack.decode(blob, type=Heartbeat)
        assert beat.boot == door.decode()
        assert beat.pid in house.door.workers()
        assert beat.epoch == house.keyring.publisher.epoch()
        assert abs(beat.at - time.time() * 1_000) < 2_000
    first = {beat.boot: beat.at for beat in beats(house)}
    wait_until(lambda: all(beat.at > first[beat.boot] for beat in beats(house)), within_s=3)


def test_a_revision_is_live_only_after_it_decides(start):
    house = start()
    tenant = house.keyring.tenant(rule("old"))
    key = house.keyring.key(tenant)
    house.door.check(key)
    for version in range(20):
        seq = house.keyring.rules(tenant, rule(f"n{version}"))
        wait_until(lambda seq=seq: applied(house) >= seq, within_s=1)
        assert house.door.check(key).json["policy"] == f"n{version}"


def test_a_stream_that_was_trimmed_does_not_hide_a_change(start):
    house = start()
    tenant = house.keyring.tenant(rule("old"))
    key = house.keyring.key(tenant)
    assert house.door.check(key).status == 200
    script = "redis.call('XTRIM', KEYS[1], 'MAXLEN', 0) return 1"
    with house.valkey.client.pipeline(transaction=True) as together:
        # What a burst of changes longer than the stream looks like to a reader that was away.
        together.set(keys.snapshot(tenant), _blob(house, tenant, "new"))
        together.incr(keys.SNAPSHOT_SEQUENCE)
        together.eval(script, 1, keys.SNAPSHOT_CHANGES)
        together.execute()
    house.keyring.tenant(rule())  # the next entry shows the gap
    wait_until(lambda: house.door.check(key).json["policy"] == "new", within_s=2)


def test_a_change_that_was_never_announced_is_noticed_by_comparison(start):
    house = start()
    tenant = house.keyring.tenant(rule("old"))
    key = house.keyring.key(tenant)
    house.door.check(key)
    house.valkey.client.set(keys.snapshot(tenant), _blob(house, tenant, "new"))
    house.valkey.client.hset(keys.SNAPSHOT_REVISIONS, str(tenant), "99:1")
    wait_until(lambda: house.door.check(key).json["policy"] == "new", within_s=8)


def test_a_new_epoch_is_followed_even_when_the_stream_starts_over(start):
    house = start()
    tenant = house.keyring.tenant(rule("old"))
    key = house.keyring.key(tenant)
    house.settle()
    house.door.check(key)
    house.valkey.client.flushall()
    house.keyring.rules(tenant, rule("new"))
    house.keyring.republish()
    wait_until(lambda: house.door.check(key).json["policy"] == "new", within_s=2)
    wait_until(lambda: {beat.epoch for beat in beats(house)} == {house.keyring.publisher.epoch()}, within_s=2)


def _blob(house, tenant, name):
    from ratelimiter.snapshot.model import TenantSnapshot, snapshot_encode

    return snapshot_encode(TenantSnapshot(tenant, 99, (rule(name),)))
