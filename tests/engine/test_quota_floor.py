"""The quota's counter as the control plane touches it: the script and the raise understand each other."""

import threading

import redis

from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.quota import Quota
from ratelimiter.store.quota import LIFE_MS, quota_raise, quota_used

KEY = "quota:{7}:2026-11"
NOW_MS = 1_800_000_000_000


def count(store, times, cap=0):
    """Makes checks that meet no rule, and returns their verdicts."""
    rule_set = RuleSet(7, (), quota=Quota("2026-11", cap))
    prepared = prepare(rule_set, Check(), live=True, now_ms=NOW_MS, check_id="chk_1")
    reply, offsets = store.run([prepared] * times, now_ms=NOW_MS)
    return [reply[offset] for offset in offsets]


def test_it_raises_what_the_script_counted_and_the_script_goes_on_from_there(store, counters):
    count(store, 3)
    assert quota_used(counters, KEY) == 3
    assert quota_raise(counters, KEY, 1_000) == 1_000
    assert count(store, 3, cap=1_002) == [1, 1, 3]
    assert quota_used(counters, KEY) == 1_002


def test_it_never_lowers(store, counters):
    count(store, 5)
    assert quota_raise(counters, KEY, 4) == 5
    assert quota_raise(counters, KEY, 0) == 5
    assert quota_used(counters, KEY) == 5


def test_it_makes_a_counter_that_was_lost_and_lets_it_expire(store, counters):
    assert quota_used(counters, KEY) == 0
    assert quota_raise(counters, KEY, 2**40) == 2**40
    assert quota_used(counters, KEY) == 2**40
    assert LIFE_MS - 60_000 < counters.pttl(KEY) <= LIFE_MS


def test_of_many_at_once_the_largest_stays(store, counters):
    client = redis.Redis(connection_pool=counters.connection_pool)
    threads = [threading.Thread(target=quota_raise, args=(client, KEY, units)) for units in range(1, 33)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quota_used(counters, KEY) == 32
