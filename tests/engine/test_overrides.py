"""Other limits for some values, lists that let pass or refuse, limits that come with the check, shards."""

import pytest

from ratelimiter.engine.decision import Check, InlineLimit
from ratelimiter.engine.errors import InvalidRequest
from ratelimiter.engine.explain import explain
from ratelimiter.engine.interpret import interpret
from ratelimiter.engine.matching import RuleSet, Sharding
from ratelimiter.engine.overrides import Overrides
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.rules import UNLIMITED, Action, Match, Override, RuleType
from ratelimiter.store.fallback import Fallback
from tests.engine.rules import NOW_MS, prepared, rule

PER_USER = rule(1, limit=10, type=RuleType.USER, key=("user",))
PER_IP = rule(1, limit=10, type=RuleType.IP, key=("ip",))


def decide(store, ready, now_ms=NOW_MS):
    if not ready.needs_store:
        return Fallback(1).decide(ready, now_ms)
    reply, offsets = store.run([ready], now_ms=now_ms)
    return interpret(ready, reply, offsets[0])


def found(key, patterns, *values):
    overrides = [Override(tuple(pattern), limit) for limit, pattern in enumerate(patterns, 1)]
    override = Overrides(key, overrides).find(values)
    return override and override.limit


@pytest.mark.parametrize(
    ("patterns", "value", "limit"),
    [
        ([["u1"]], "u1", 1),
        ([["u1"]], "u2", None),
        ([["team-*"]], "team-", 1),
        ([["team-*"]], "tea", None),
        ([["t*"], ["team-*"], ["team-7"]], "team-7", 3),
        ([["t*"], ["team-*"], ["team-7"]], "team-8", 2),
        ([["t*"], ["team-*"], ["team-7"]], "tom", 1),
        ([["*"], ["u1"]], "anything", 1),
        ([["*"], ["u1"]], "u1", 2),
        ([["a\\*"]], "a*", 1),
        ([["a\\*"]], "ab", None),
    ],
)
def test_the_most_particular_pattern_wins(patterns, value, limit):
    assert found(("user",), patterns, value) == limit


@pytest.mark.parametrize(
    ("patterns", "address", "limit"),
    [
        ([["203.0.113.7"]], "203.0.113.7", 1),
        ([["203.0.113.0/24"], ["203.0.113.7"]], "203.0.113.7", 2),
        ([["203.0.113.0/24"], ["203.0.0.0/16"]], "203.0.113.7", 1),
        ([["203.0.113.0/24"]], "203.0.114.7", None),
        ([["0.0.0.0/0"]], "2001:db8::/64", None),
        ([["2001:db8::/32"]], "2001:db8:7::/64", 1),
        ([["2001:db8::/64"]], "2001:db8::/64", 1),
        ([["2001:db8::/80"]], "2001:db8::/64", None),
        ([["*"]], "2001:db8::/64", 1),
    ],
)
def test_addresses_are_found_by_their_networks(patterns, address, limit):
    assert found(("ip",), patterns, address) == limit


def test_several_dimensions_are_matched_one_by_one():
    patterns = [["*", "chat-*"], ["u1", "*"], ["u1", "chat-big"]]
    assert found(("user", "attributes.model"), patterns, "u1", "chat-big") == 3
    assert found(("user", "attributes.model"), patterns, "u1", "chat-small") == 2
    assert found(("user", "attributes.model"), patterns, "u2", "chat-small") == 1
    assert found(("user", "attributes.model"), patterns, "u2", "other") is None


def test_an_override_changes_the_limit_and_shares_the_counter(store):
    for _ in range(10):
        assert decide(store, prepared(PER_USER, user="u1")).allowed
    assert not decide(store, prepared(PER_USER, user="u1")).allowed
    more = {1: [Override(("u1",), 12)]}
    decision = decide(store, prepared(PER_USER, user="u1", overrides=more))
    assert (decision.allowed, decision.limit, decision.remaining) == (True, 12, 1)
    assert decide(store, prepared(PER_USER, user="u2", overrides=more)).limit == 10


def test_zero_blocks_before_any_arithmetic_and_asks_no_store(store):
    ready = prepared(PER_USER, rule(2), user="u1", overrides={1: [Override(("u1",), 0)]})
    assert not ready.needs_store
    decision = decide(store, ready)
    assert (decision.allowed, decision.reason, decision.degraded) == (False, "blocked", False)
    assert (decision.policy, decision.retry_after_ms) == ("rule-1", None)
    assert store.client.dbsize() == 0


def test_unlimited_lets_pass_without_counting_while_the_other_rules_count(store):
    ready = prepared(PER_USER, rule(2, limit=1), user="u1", overrides={1: [Override(("u1",), UNLIMITED)]})
    first, second = decide(store, ready), decide(store, ready)
    assert [r.allowed for r in first.results] == [True, True]
    assert (first.policy, second.allowed, second.policy) == ("rule-2", False, "rule-2")
    assert second.results[0].remaining == 2**31 - 1


def test_an_override_ends_at_its_time_by_the_store_s_clock(store):
    held = {1: [Override(("u1",), 0, expires_at_ms=NOW_MS + 5)]}
    rule_set = RuleSet(1, [PER_USER], overrides={1: lambda: held[1]})

    def at(now_ms):
        ready = prepare(rule_set, Check(user="u1"), live=True, now_ms=now_ms, check_id="chk_0a")
        return decide(store, ready).allowed

    assert [at(NOW_MS), at(NOW_MS + 4), at(NOW_MS + 5)] == [False, False, True]


def test_a_blocked_shadow_rule_refuses_nothing(store):
    shadow = rule(1, type=RuleType.USER, key=("user",), mode="shadow")
    decision = decide(store, prepared(shadow, rule(2), user="u1", overrides={1: [Override(("u1",), 0)]}))
    assert decision.allowed
    assert [(r.rule, r.allowed) for r in decision.results] == [("rule-2", True), ("rule-1", False)]


OFFICE = rule(8, name="office", limit=0, action=Action.ALLOW, match=Match(ips=("203.0.113.0/24",)))
BANNED = rule(9, name="banned", limit=0, action=Action.DENY, match=Match(users=("mallory",)))


def test_an_allow_list_lets_pass_without_counting(store):
    counted = rule(1, limit=1)
    for _ in range(3):
        decision = decide(store, prepared(counted, OFFICE, BANNED, ip="203.0.113.9"))
        assert (decision.allowed, decision.policy, decision.reason) == (True, "office", "ok")
    assert store.client.dbsize() == 0
    assert decide(store, prepared(counted, OFFICE, ip="198.51.100.1")).policy == "rule-1"


def test_a_deny_list_goes_before_an_allow_list_and_before_names(store):
    decision = decide(store, prepared(rule(1), OFFICE, BANNED, ip="203.0.113.9", user="mallory", rules=("rule-1",)))
    assert (decision.allowed, decision.reason, decision.policy) == (False, "blocked", "banned")


def inline(rule_types=("global", "user"), rules=(), sharding=None, **check):
    rule_set = RuleSet(1, rules, inline_types=rule_types, sharding=sharding)
    return prepare(rule_set, Check(**check), live=True, now_ms=NOW_MS, check_id="chk_0a")


def test_a_limit_that_comes_with_the_check_counts_by_its_name(store):
    exports = InlineLimit("exports", limit=2, window_ms=60_000, key=("user",))
    allowed = [decide(store, inline(user=user, limits=(exports,))).allowed for user in ("a", "a", "b", "a")]
    assert allowed == [True, True, True, False]
    raised = InlineLimit("exports", limit=3, window_ms=60_000, key=("user",))
    assert decide(store, inline(user="a", limits=(raised,))).allowed


def test_it_stands_beside_the_tenant_s_rules_all_or_nothing(store):
    exports = InlineLimit("exports", limit=1, window_ms=60_000)
    ready = inline(rules=[rule(1, limit=5)], limits=(exports,))
    assert [decide(store, ready).allowed for _ in range(2)] == [True, False]
    assert decide(store, prepared(rule(1, limit=5), mode="peek")).remaining == 3


@pytest.mark.parametrize(
    ("key", "check", "pointer"),
    [(("ip",), {"ip": "203.0.113.1"}, "/limits/0/key"), (("user",), {}, "/limits/0/key")],
)
def test_what_the_plan_or_the_check_lacks_is_refused(key, check, pointer):
    limit = InlineLimit("x", limit=1, window_ms=60_000, key=key)
    with pytest.raises(InvalidRequest) as refused:
        inline(limits=(limit,), **check)
    assert refused.value.errors[0][0] == pointer


class TestShards:
    SHARDING = Sharding("user", 4)

    def decide(self, store, *rules, **check):
        rule_set = RuleSet(7, rules, sharding=self.SHARDING)
        ready = prepare(rule_set, Check(**check), live=True, now_ms=NOW_MS, check_id="chk_0a")
        return ready, decide(store, ready)

    def test_rules_keyed_by_the_dimension_stay_exact(self, store):
        decisions = [self.decide(store, PER_USER, user="u1")[1] for _ in range(11)]
        assert [d.allowed for d in decisions] == [True] * 10 + [False]
        assert {d.limit for d in decisions} == {10}

    def test_other_rules_never_over_admit(self, store):
        everyone = rule(1, limit=1_001)
        admitted = sum(self.decide(store, everyone, user=f"u{n}")[1].allowed for n in range(1_500))
        assert 900 <= admitted <= 1_000

    def test_a_check_keeps_to_one_slot_and_the_answer_says_which(self, store):
        for number in range(20):
            ready, decision = self.decide(store, PER_USER, rule(2, limit=1_000), user=f"u{number}")
            tags = {key.split(b"}")[0].split(b"{")[1] for key in ready.keys}
            assert tags == {b"7.%d" % decision.shard}
            assert decision.check_id == f"chk_0a.{decision.shard}"

    def test_a_check_without_the_dimension_goes_to_the_first(self, store):
        assert self.decide(store, rule(2, limit=1_000))[1].shard == 0


def test_explain_says_why(store):
    rules = [
        PER_USER, rule(2, match=Match(routes=("POST /v1/chat",))), OFFICE,
        rule(3, limit=5, priority=-1),
    ]  # fmt: skip
    rule_set = RuleSet(1, rules, overrides={1: lambda: [Override(("vip*",), 99)]})
    lines = explain(rule_set, Check(user="vip-1", ip="198.51.100.1", rules=("rule-1", "rule-2")), now_ms=NOW_MS).rules
    assert [(line.rule, line.matches, line.evaluated) for line in lines] == [
        ("office", False, False), ("rule-1", True, True), ("rule-2", False, False), ("rule-3", True, False),
    ]  # fmt: skip
    assert "condition on ip" in lines[0].why
    assert lines[1].override == ("vip*",)
    assert lines[1].key == {"user": "vip-1"}
    assert "condition on route" in lines[2].why
    assert "names other rules" in lines[3].why
    passed = explain(rule_set, Check(user="u", ip="203.0.113.1"), now_ms=NOW_MS).rules
    assert "office decides before" in passed[1].why
