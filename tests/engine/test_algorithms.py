"""Script, memory store and the slow reference agree on every check, whatever came before it."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratelimiter.engine.prepare import MODES
from ratelimiter.engine.rules import MAX_BURST_FACTOR, MAX_LOGGED
from ratelimiter.store.memory import Evaluation, MemoryStore
from tests.engine import reference
from tests.engine.rules import prepared, rule

START_MS = 1_790_000_000_123
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "300"))
ALGORITHMS = sorted(reference.REFERENCES)

costs = st.one_of(st.integers(1, 6), st.integers(1, 2_000), st.just(2**31 - 1))
limits = st.one_of(st.integers(1, 12), st.integers(1, 1_000), st.just(2**31 - 1))
windows = st.one_of(st.integers(1_000, 20_000), st.sampled_from([3_600_000, 86_400_000, 86_400_001, 400 * 86_400_000]))
steps = st.one_of(st.just(0), st.integers(0, 400), st.integers(0, 25_000), st.integers(0, 500 * 86_400_000))
checks = st.tuples(steps, costs, st.sampled_from(["consume", "consume", "consume", "peek", "report"]))


def whole_ticks(window_ms):
    return window_ms if window_ms <= 86_400_000 else window_ms // 1_000 * 1_000


@st.composite
def rule_lists(draw):
    rules = []
    for position in range(draw(st.integers(1, 3))):
        window_ms, limit, algorithm = whole_ticks(draw(windows)), draw(limits), draw(st.sampled_from(ALGORITHMS))
        ticks = window_ms if window_ms <= 86_400_000 else window_ms // 1_000
        burst = min(draw(limits), 2**53 // ticks, MAX_BURST_FACTOR * limit)
        if algorithm == "sliding_log":
            limit = min(limit, MAX_LOGGED)
        rules.append(
            rule(
                position + 1, limit, window_ms, burst=burst, algorithm=algorithm,
                mode=draw(st.sampled_from(["enforce", "enforce", "shadow"])),
            )
        )  # fmt: skip
    return rules


def memory_check(memory, ready, now_ms):
    evaluations = []
    for key, applied in zip(ready.keys, ready.rules, strict=True):
        code, shadow, limit, p1, p2 = applied.numbers_for(now_ms, "")
        evaluations.append(Evaluation(key, code, bool(shadow), limit, p1, p2))
    return memory.check(evaluations, mode=MODES[ready.check.mode], cost=ready.check.cost, now_ms=now_ms)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=rule_lists(), history=st.lists(checks, min_size=1, max_size=25))
def test_script_memory_and_reference_agree(store, rules, history):
    store.client.flushdb()
    memory = MemoryStore()
    by_id = {r.id: reference.REFERENCES[r.algorithm](r.limit, r.window_ms, r.burst or r.limit) for r in rules}
    now_ms = START_MS
    for step_ms, cost, mode in history:
        now_ms += step_ms
        ready = prepared(*rules, cost=cost, mode=mode)
        reply, offsets = store.run([ready], now_ms=now_ms)
        assert memory_check(memory, ready, now_ms) == reply[offsets[0] :]
        models = [by_id[compiled.rule.id] for compiled in ready.rules]
        shadows = [compiled.rule.mode == "shadow" for compiled in ready.rules]
        allowed, answers = reference.decide(models, shadows, now_ms, cost, mode)
        rows = [tuple(reply[at : at + 4]) for at in range(2, len(reply), 4)]
        assert (reply[1] == 1, [(v, left, retry) for v, left, _, retry in rows]) == (allowed, answers)
        assert all(left >= 0 and reset >= 0 for _, left, reset, _ in rows)
        assert all(reset == retry for verdict, _, reset, retry in rows if verdict == 1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 50), window_ms=windows, history=st.lists(st.tuples(steps, st.integers(1, 50)), max_size=12))
def test_waiting_exactly_retry_after_admits_and_a_millisecond_less_does_not(
    store, algorithm, limit, window_ms, history
):
    store.client.flushdb()
    window_ms = whole_ticks(window_ms)
    counted = rule(1, limit, window_ms, algorithm=algorithm)
    now_ms = START_MS
    for step_ms, cost in history:
        now_ms += step_ms
        ready = prepared(counted, cost=min(cost, limit))
        reply, _ = store.run([ready], now_ms=now_ms)
        verdict, _, _, retry_ms = reply[2:6]
        if verdict == 1:
            peek = prepared(counted, cost=min(cost, limit), mode="peek")
            early, _ = store.run([peek], now_ms=now_ms + retry_ms - 1)
            just, _ = store.run([peek], now_ms=now_ms + retry_ms)
            assert (early[1], just[1]) == (0, 1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(back_ms=st.integers(1, 3_600_000), costs=st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_a_clock_that_steps_back_locks_nobody_out_for_longer_than_the_step(store, algorithm, back_ms, costs):
    store.client.flushdb()
    counted = rule(1, 10, 60_000, algorithm=algorithm)
    for cost in costs:
        store.run([prepared(counted, cost=cost)], now_ms=START_MS)
    before, _ = store.run([prepared(counted, cost=5, mode="peek")], now_ms=START_MS)
    after, _ = store.run([prepared(counted, cost=5, mode="peek")], now_ms=START_MS - back_ms)
    assert after[5] <= before[5] + back_ms
    later, _ = store.run([prepared(counted, cost=5, mode="peek")], now_ms=START_MS - back_ms + after[5])
    assert later[1] == 1
