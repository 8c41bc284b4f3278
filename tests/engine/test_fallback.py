"""What is answered while the store cannot, rule by rule."""

import pytest

from ratelimiter.engine.failure import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Breaker
from ratelimiter.engine.interpret import interpret
from ratelimiter.engine.rules import FailurePolicy
from ratelimiter.store.fallback import Fallback
from ratelimiter.store.memory import Evaluation, MemoryStore
from tests.engine.rules import prepared, rule

NOW_MS = 1_790_000_000_000


def test_open_passes_and_says_so():
    decision = Fallback(1).decide(prepared(rule(1, on_failure=FailurePolicy.OPEN)), NOW_MS)
    assert (decision.allowed, decision.reason, decision.degraded) == (True, "fallback_open", True)


def test_closed_refuses_for_a_second():
    decision = Fallback(1).decide(prepared(rule(1, on_failure=FailurePolicy.CLOSED)), NOW_MS)
    assert (decision.allowed, decision.reason, decision.retry_after_ms) == (False, "fallback_closed", 1_000)


@pytest.mark.parametrize("algorithm", ["sliding_window", "fixed_window", "token_bucket"])
@pytest.mark.parametrize(("limit", "workers", "share"), [(10, 1, 10), (10, 4, 3), (1, 8, 1)])
def test_local_counts_in_this_process_at_its_share_of_the_limit(algorithm, limit, workers, share):
    fallback = Fallback(workers)
    ready = prepared(rule(1, limit=limit, algorithm=algorithm))
    decisions = [fallback.decide(ready, NOW_MS) for _ in range(limit + 1)]
    assert [d.allowed for d in decisions] == [n < share for n in range(limit + 1)]
    assert all(d.degraded for d in decisions)
    assert decisions[-1].reason == "limit_exceeded"


def test_local_begins_where_the_last_good_reply_stood():
    fallback = Fallback(1)
    ready = prepared(rule(1, limit=10))
    fallback.observe(ready, interpret(ready, [1, 0, 3, 1_000, 0], 0))
    assert [fallback.decide(ready, NOW_MS).allowed for _ in range(4)] == [True, True, True, False]


def test_a_second_outage_begins_where_the_store_stood_then():
    fallback = Fallback(1)
    ready = prepared(rule(1, limit=100))
    fallback.observe(ready, interpret(ready, [1, 0, 99, 1_000, 0], 0))
    assert fallback.decide(ready, NOW_MS).remaining == 98
    fallback.observe(ready, interpret(ready, [1, 0, 0, 1_000, 0], 0))
    assert not fallback.decide(ready, NOW_MS).allowed


def test_a_refusal_by_one_rule_charges_no_other():
    fallback = Fallback(1)
    local, closed = rule(1, limit=2), rule(2, on_failure=FailurePolicy.CLOSED)
    for _ in range(5):
        assert not fallback.decide(prepared(local, closed), NOW_MS).allowed
    assert fallback.decide(prepared(local), NOW_MS).remaining == 1


def test_a_closed_shadow_rule_refuses_nothing():
    shadow = rule(2, on_failure=FailurePolicy.CLOSED, mode="shadow")
    assert Fallback(1).decide(prepared(rule(1), shadow), NOW_MS).allowed


def test_report_is_allowed_whatever_fails():
    assert Fallback(1).decide(prepared(rule(1, on_failure=FailurePolicy.CLOSED), mode="report"), NOW_MS).allowed


def test_the_memory_store_stays_bounded_and_drops_the_oldest():
    store = MemoryStore(max_counters=100)
    for number in range(1_000):
        store.check([Evaluation(b"%d" % number, 2, False, 5, 60_000, 0)], mode=0, cost=1, now_ms=NOW_MS)
    assert len(store) <= 100
    newest = store.check([Evaluation(b"999", 2, False, 5, 60_000, 0)], mode=1, cost=1, now_ms=NOW_MS)
    assert newest[2] == 3


def test_the_breaker_opens_at_once_and_hands_out_one_probe():
    breaker = Breaker()
    assert breaker.admits(0)
    breaker.failed(0)
    assert not breaker.admits(FIRST_PAUSE_MS - 1)
    assert breaker.admits(FIRST_PAUSE_MS)
    assert not breaker.admits(FIRST_PAUSE_MS)


def test_failed_probes_are_spaced_out_up_to_a_second_and_success_starts_over():
    breaker, now_ms = Breaker(), 0
    breaker.failed(now_ms)
    for _ in range(20):
        now_ms += LONGEST_PAUSE_MS
        assert breaker.admits(now_ms)
        breaker.failed(now_ms)
    assert not breaker.admits(now_ms + LONGEST_PAUSE_MS - 1)
    assert breaker.admits(now_ms + LONGEST_PAUSE_MS)
    breaker.succeeded()
    assert breaker.admits(now_ms)
