"""What the door tells about itself: /metrics for Prometheus, live counts for the portal."""

import datetime as dt
import urllib.request

from ratelimiter.engine import keys
from ratelimiter.engine.rules import RuleMode
from tests.door.rig import HOST, rule, wait_until


def metric(door, name, **labels):
    with urllib.request.urlopen(f"http://{HOST}:{door.metrics_port}/metrics", timeout=5) as reply:
        text = reply.read().decode()
    wanted = name + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else "")
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(wanted + " ")), 0.0)


def test_any_worker_answers_for_all_of_them(start):
    house = start(workers=2)
    key = house.keyring.key(house.keyring.tenant(rule(limit=30)))
    for _ in range(40):
        house.door.check(key)
    house.door.check("nobody")
    expected = {
        ("ratelimiter_door_checks_allowed_total", ()): 30,
        ("ratelimiter_door_checks_denied_total", ()): 10,
        ("ratelimiter_door_events_written_total", ()): 40,
        ("ratelimiter_door_answers_total", (("status", "429"),)): 10,
        ("ratelimiter_door_answers_total", (("status", "401"),)): 1,
        ("ratelimiter_door_ready", ()): 2,
    }
    for (name, labels), value in expected.items():
        wait_until(
            lambda name=name, labels=labels, value=value: metric(house.door, name, **dict(labels)) == value,
            within_s=5, what=f"{name}{labels} = {value}",
        )  # fmt: skip


def test_degraded_answers_are_counted(start):
    house = start()
    key = house.keyring.key(house.keyring.tenant(rule()))
    house.settle()
    house.door.check(key)
    house.valkey.kill()
    found = [house.door.check(key).json["degraded"] for _ in range(20)]
    wait_until(lambda: metric(house.door, "ratelimiter_door_checks_degraded_total") == sum(found) == 20, within_s=5)


def test_the_metrics_port_answers_nothing_else(house):
    import urllib.error

    import pytest

    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://{HOST}:{house.door.metrics_port}/", timeout=5)


def test_live_counts_and_last_use_reach_redis_within_seconds(house):
    tenant = house.keyring.tenant(rule("real", limit=3), rule("tried", limit=1, mode=RuleMode.SHADOW))
    live, test = house.keyring.key(tenant), house.keyring.key(tenant, live=False)
    for _ in range(5):
        house.door.check(live)
    house.door.check(test)
    house.door.check(live, mode="peek")
    day = dt.datetime.now(dt.UTC).date().isoformat()
    expected = {b"checks": b"6", b"allowed": b"4", b"denied": b"2", b"shadow_denied": b"2", b"live_checks": b"3"}
    redis = house.valkey.client
    wait_until(lambda: redis.hgetall(keys.live_counts(tenant, day)) == expected, within_s=5)
    assert redis.ttl(keys.live_counts(tenant, day)) > 0
    assert len(redis.hgetall(keys.key_last_used(tenant))) == 2
