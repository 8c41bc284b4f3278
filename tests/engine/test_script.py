"""Guarantees of one script call: all or nothing, in order, nothing late, nothing malformed."""

import msgspec
import pytest
import redis

from ratelimiter.engine.errors import CallLate
from ratelimiter.engine.interpret import interpret
from ratelimiter.engine.prepare import encode
from ratelimiter.engine.rules import RuleType
from ratelimiter.engine.scripts import check_script
from tests.engine.rules import prepared, rule

NOW_MS = 1_790_000_000_000


def decide(store, ready, now_ms=NOW_MS):
    reply, offsets = store.run([ready], now_ms=now_ms)
    return interpret(ready, reply, offsets[0])


def without_rules(decision):
    return msgspec.structs.replace(decision, applied=())


def test_a_denied_check_writes_nothing_for_any_rule(store):
    wide, narrow = rule(1, limit=10), rule(2, limit=1)
    assert decide(store, prepared(wide, narrow)).allowed
    before = {key: store.client.get(key) for key in store.client.scan_iter("ratelimit:*")}
    denied = decide(store, prepared(wide, narrow))
    assert not denied.allowed
    assert denied.policy == "rule-2"
    assert {key: store.client.get(key) for key in store.client.scan_iter("ratelimit:*")} == before


def test_checks_of_one_call_are_decided_in_order_and_see_each_other(store):
    counted = rule(1, limit=3)
    batch = [prepared(counted) for _ in range(5)]
    reply, offsets = store.run(batch, now_ms=NOW_MS)
    assert [reply[at] for at in offsets] == [1, 1, 1, 0, 0]


def test_one_call_carries_several_tenants_without_mixing_them(store):
    batch = [prepared(rule(1, limit=1), tenant=tenant) for tenant in (1, 2, 1)]
    reply, offsets = store.run(batch, now_ms=NOW_MS)
    assert [reply[at] for at in offsets] == [1, 1, 0]


def test_a_call_past_its_deadline_counts_nothing_and_tells_the_time(store):
    with pytest.raises(CallLate) as late:
        store.run([prepared(rule(1))], now_ms=NOW_MS, not_after_ms=NOW_MS - 1)
    assert late.value.store_ms == NOW_MS
    assert store.client.dbsize() == 0
    store.run([prepared(rule(1))], now_ms=NOW_MS, not_after_ms=NOW_MS)
    assert store.client.dbsize() == 1


@pytest.mark.parametrize("cost", [0, -1, 1.5, float("nan"), float("inf"), 2**31, 2**63, "1", None])
def test_a_cost_that_is_no_whole_number_in_range_is_refused_by_the_script_too(store, cost):
    call = encode([prepared(rule(1))])
    numbers = msgspec.msgpack.decode(call.argument)
    numbers[2] = cost
    with pytest.raises(redis.ResponseError):
        store.client.eval(check_script().body, 1, *call.keys, msgspec.msgpack.encode(numbers), NOW_MS)
    assert store.client.dbsize() == 0


def test_arguments_that_end_inside_a_check_are_refused_before_anything_is_written(store):
    call = encode([prepared(rule(1)), prepared(rule(1))])
    numbers = msgspec.msgpack.decode(call.argument)[:-1]
    with pytest.raises(redis.ResponseError):
        store.client.eval(check_script().body, 1, *call.keys, msgspec.msgpack.encode(numbers), NOW_MS)
    assert store.client.dbsize() == 0


def test_shadow_rules_never_change_the_answer_and_stop_charging_when_full(store):
    enforced, shadow = rule(1, limit=10), rule(2, limit=2, mode="shadow")
    decisions = [decide(store, prepared(enforced, shadow)) for _ in range(4)]
    assert [d.allowed for d in decisions] == [True] * 4
    assert [d.results[1].allowed for d in decisions] == [True, True, False, False]
    assert [d.policy for d in decisions] == ["rule-1"] * 4


def test_a_denial_by_an_enforced_rule_leaves_shadow_counters_alone(store):
    enforced, shadow = rule(1, limit=1), rule(2, limit=5, mode="shadow")
    decide(store, prepared(enforced, shadow))
    assert decide(store, prepared(enforced, shadow)).results[1].remaining == 4


def test_report_always_allows_and_charges_past_the_limit(store):
    counted = rule(1, limit=2)
    reported = decide(store, prepared(counted, cost=100, mode="report"))
    assert (reported.allowed, reported.remaining, reported.reason) == (True, 0, "ok")
    assert not decide(store, prepared(counted)).allowed


@pytest.mark.parametrize("algorithm", ["sliding_window", "fixed_window", "token_bucket"])
@pytest.mark.parametrize("cost", [1, 7, 10, 11])
def test_peek_says_what_consume_then_answers_and_writes_nothing(store, algorithm, cost):
    counted = rule(1, limit=10, algorithm=algorithm)
    decide(store, prepared(counted, cost=4))
    before = store.client.dump(prepared(counted).keys[0])
    peeked = decide(store, prepared(counted, cost=cost, mode="peek"))
    assert store.client.dump(prepared(counted).keys[0]) == before
    assert without_rules(peeked) == without_rules(decide(store, prepared(counted, cost=cost)))


def test_a_cost_above_the_limit_is_refused_at_once_and_stores_nothing(store):
    decision = decide(store, prepared(rule(1, limit=10), cost=11))
    assert (decision.reason, decision.retry_after_ms, decision.remaining) == ("cost_exceeds_limit", None, 10)
    assert store.client.dbsize() == 0


def test_a_denied_big_cost_leaves_room_for_a_small_one(store):
    counted = rule(1, limit=10)
    decide(store, prepared(counted, cost=8))
    assert not decide(store, prepared(counted, cost=5)).allowed
    assert decide(store, prepared(counted, cost=2)).allowed


def test_changing_the_limit_keeps_the_count_and_changing_the_window_starts_anew(store):
    decide(store, prepared(rule(1, limit=10), cost=9))
    assert decide(store, prepared(rule(1, limit=12))).remaining == 2
    assert decide(store, prepared(rule(1, limit=12, window_ms=20_000))).remaining == 11


def test_of_two_denying_rules_the_longer_wait_binds(store):
    short, long = rule(1, limit=1, window_ms=10_000), rule(2, limit=1, window_ms=100_000)
    decide(store, prepared(short, long))
    denied = decide(store, prepared(short, long))
    assert denied.policy == "rule-2"
    assert denied.retry_after_ms == denied.results[1].retry_after_ms > denied.results[0].retry_after_ms


def test_of_two_allowing_rules_the_nearer_to_exhaustion_binds(store):
    assert decide(store, prepared(rule(1, limit=100), rule(2, limit=10))).policy == "rule-2"


def test_live_and_test_keys_count_apart(store):
    counted = rule(1, limit=1)
    assert decide(store, prepared(counted, live=True)).allowed
    assert decide(store, prepared(counted, live=False)).allowed


def test_identifiers_count_apart_and_each_in_full(store):
    counted = rule(1, limit=1, type=RuleType.USER, key=("user",))
    assert decide(store, prepared(counted, user="a")).allowed
    assert decide(store, prepared(counted, user="b")).allowed
    assert not decide(store, prepared(counted, user="a")).allowed


def test_a_counter_costs_at_most_150_bytes(store):
    counted = rule(1_234_567, limit=100, type=RuleType.USER, key=("user",))
    batches = [[prepared(counted, tenant=1234, user=f"u{n * 100 + i}") for i in range(100)] for n in range(100)]
    before = store.client.info("memory")["used_memory"]
    for batch in batches:
        store.run(batch, now_ms=NOW_MS)
    after = store.client.info("memory")["used_memory"]
    assert store.client.dbsize() == 10_000
    assert (after - before) / 10_000 <= 150


@pytest.mark.parametrize(
    ("algorithm", "most_ms"), [("sliding_window", 20_000), ("fixed_window", 10_000), ("token_bucket", 1_000)]
)
def test_a_counter_lives_as_long_as_it_can_matter(store, algorithm, most_ms):
    ready = prepared(rule(1, limit=10, window_ms=10_000, algorithm=algorithm))
    call = encode([ready])
    store.client.eval(check_script().body, 1, *call.keys, call.argument)
    assert 0 < store.client.pttl(ready.keys[0]) <= most_ms
