"""A replay says what the engine would have said, check by check, and whom it would have denied."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.limits.replay import (
    AT_SHIFT,
    COST_SHIFT,
    WEIGHT_SHIFT,
    Group,
    denied_in_runs,
    denied_one_by_one,
    dimensions_of,
    obstacle,
    replay,
)
from apps.limits.selectors import OverrideInfo
from apps.limits.shares import ShardingInfo
from apps.limits.specs import RuleSpec, spec_verify
from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import CompiledRule
from ratelimiter.engine.rules import Algorithm, Calendar, CalendarUnit, Rule, RuleType
from ratelimiter.store.memory import CONSUME, Evaluation, MemoryStore

SINCE = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)  # a day with a shorter one after it in Berlin
UNTIL = SINCE + timedelta(days=1)
SINCE_MS = round(SINCE.timestamp() * 1_000)


def packed(at_ms, cost=1, weight=0, *, report=False):
    return at_ms << AT_SHIFT | cost << COST_SHIFT | weight << WEIGHT_SHIFT | report


def group(*checks, live=True, ip=None, route=None, user=None, **attributes):
    return Group(live, ip, route, user, attributes, [one if isinstance(one, int) else packed(*one) for one in checks])


def run(groups, *, overrides=(), sharding=None, **fields):
    spec = spec_verify(RuleSpec(**{"name": "r", "limit": 2, "window_ms": 60_000} | fields))
    return replay(spec, groups, rule_id=7, overrides=overrides, sharding=sharding, since=SINCE, until=UNTIL)


def applied_of(algorithm, limit, window_ms, burst=0, calendar=None):
    rule = Rule(7, "r", RuleType.GLOBAL, limit, window_ms, algorithm=algorithm, burst=burst, calendar=calendar)
    return CompiledRule(0, rule).meet(Check(), live=True, shard=-1, now_ms=SINCE_MS)


RULES = [
    (Algorithm.SLIDING_WINDOW, 10, 60_000, 0, None),
    (Algorithm.SLIDING_WINDOW, 3, 1_000, 0, None),
    (Algorithm.FIXED_WINDOW, 10, 60_000, 0, None),
    (Algorithm.TOKEN_BUCKET, 10, 60_000, 25, None),
    (Algorithm.TOKEN_BUCKET, 3, 1_000, 0, None),
    (Algorithm.SLIDING_LOG, 10, 60_000, 0, None),
    (Algorithm.FIXED_WINDOW, 30, 86_400_000, 0, Calendar(CalendarUnit.DAY, "Europe/Berlin")),
]
STREAMS = st.lists(
    st.tuples(st.integers(0, 40_000), st.sampled_from([1, 1, 1, 1, 2, 7, 40]), st.sampled_from([0, 0, 0, 2])),
    min_size=1,
    max_size=120,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule[0]}-{rule[1]}-{rule[2]}")
@given(steps=STREAMS)
def test_runs_and_single_checks_come_to_the_same_as_the_engines_own_store(rule, steps):
    applied, store = applied_of(*rule), MemoryStore()
    at_ms, checks = 0, []
    for step_ms, cost, weight in steps:
        at_ms += step_ms
        checks.append(packed(at_ms, cost, weight))
    said = 0
    singles = [
        (check >> AT_SHIFT, check >> COST_SHIFT & 0xFFFF) for check in checks for _ in range(1 << (check >> 1 & 31))
    ]
    for moment, cost in singles:
        code, shadow, limit, p1, p2 = applied.numbers_for(SINCE_MS + moment, "")
        evaluation = Evaluation(b"k", code, bool(shadow), limit, p1, p2)
        said += not store.check([evaluation], mode=CONSUME, cost=cost, now_ms=SINCE_MS + moment)[0]
    assert denied_one_by_one(applied, checks, SINCE_MS) == said
    times, costs = zip(*singles, strict=True)
    assert denied_in_runs(applied, times, costs, SINCE_MS) == said


def test_each_value_of_the_key_has_a_counter_and_the_most_denied_stand_first():
    found = run(
        [
            group(*((n, 1) for n in range(5)), user="u_1", route="a"),
            group(*((n, 1) for n in range(5)), user="u_1", route="b"),  # the same counter
            group(*((n, 1) for n in range(3)), user="u_2"),
            group(*((n, 1) for n in range(2)), user="u_3"),
            group((0, 1), (1, 1)),  # nobody: the rule says nothing
        ],
        type="user",
    )
    assert (found.checks, found.met, found.denied) == (17, 15, 9)
    assert [(one.values, one.checks, one.denied) for one in found.offended] == [(("u_1",), 10, 8), (("u_2",), 3, 1)]


def test_live_and_test_keys_do_not_share_a_counter():
    found = run([group((0, 1), (1, 1), user="u", live=live) for live in (True, False)], type="user")
    assert found.denied == 0


def test_only_checks_that_fit_the_conditions_are_met():
    groups = [
        group((0, 1), (1, 1), (2, 1), route="POST /v1/chat", user="u", ip="203.0.113.9", plan="free"),
        group((0, 1), (1, 1), (2, 1), route="GET /v1/chat", user="u", ip="203.0.113.9", plan="free"),
        group((0, 1), (1, 1), (2, 1), route="POST /v1/chat", user="u", ip="198.51.100.1", plan="pro"),
    ]
    match = {"routes": ["POST /v1/chat"], "ips": ["203.0.113.0/24"], "attributes": {"plan": ["free"]}}
    found = run(groups, type="user", match=match)
    assert (found.checks, found.met, found.denied) == (9, 3, 1)


def test_networks_count_together():
    found = run([group((0, 1), (1, 1), ip=f"2001:db8::{n}") for n in range(1, 4)], type="ip")
    assert (found.denied, found.offended[0].values) == (4, ("2001:db8::/64",))


def test_overrides_hold_as_they_do_at_the_door():
    def override(value, limit):
        return OverrideInfo(1, 7, (value,), limit, 0, None, "", SINCE)

    groups = [group(*((n, 1) for n in range(5)), user=user) for user in ("u_1", "blocked", "free", "more")]
    found = run(groups, type="user", overrides=[override("blocked", 0), override("free", None), override("more", 4)])
    assert {one.values[0]: one.denied for one in found.offended} == {"u_1": 3, "blocked": 5, "more": 1}


def test_a_sharded_tenants_limit_is_its_share_unless_the_key_is_the_shards():
    groups = [group(*((n, 1) for n in range(300)), user="u")]
    assert run(groups, limit=400, sharding=ShardingInfo(4, "user")).denied == 200
    assert run(groups, type="user", limit=400, sharding=ShardingInfo(4, "user")).denied == 0


@pytest.mark.parametrize(("action", "denied"), [("deny", 3), ("allow", 0)])
def test_gates_count_nothing(action, denied):
    found = run(
        [group((0, 1), (1, 1), (2, 1), user="u"), group((0, 1), user="v")],
        action=action, match={"users": ["u"]}, limit=0, window_ms=0,
    )  # fmt: skip
    assert (found.met, found.denied) == (3, denied)


def test_reports_are_counted_and_never_denied():
    found = run([group(packed(0, report=True), packed(1, report=True), packed(2, report=True), (3, 1))])
    assert found.denied == 1


def test_a_row_that_stands_for_several_counts_as_several():
    found = run([group((0, 1, 3), (1, 1))])
    assert (found.met, found.denied) == (9, 7)


def test_what_a_rule_looks_at_is_its_key_and_its_conditions():
    match = {"routes": ["POST /x"], "ips": ["10.0.0.0/8"], "attributes": {"plan": ["free"]}}
    spec = spec_verify(
        RuleSpec("r", type="custom", key=("user", "attributes.model"), limit=1, window_ms=1_000, match=match)
    )
    assert dimensions_of(spec) == ["attributes.model", "attributes.plan", "ip", "route", "user"]
    assert dimensions_of(spec_verify(RuleSpec("r", limit=1, window_ms=1_000))) == []


def test_slots_cannot_be_replayed_and_it_says_why():
    assert "Slots" in obstacle(
        spec_verify(RuleSpec("r", type="user", limit=5, window_ms=1_000, algorithm="concurrency"))
    )
    assert obstacle(spec_verify(RuleSpec("r", limit=5, window_ms=1_000))) == ""
