"""Which rules a check meets, and which counter it counts in."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelimiter.engine.conditions import route_pattern
from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import InvalidRequest, NotFound
from ratelimiter.engine.keys import counter_digest
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.rules import AttributeCondition, Match, RuleType
from tests.engine.rules import NOW_MS, prepared, rule


def names(rules, /, **check):
    return [applied.rule.name for applied in select(RuleSet(1, rules), **check).rules]


def select(rule_set, **check):
    return rule_set.select(Check(**check), live=True, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("pattern", "route", "matches"),
    [
        ("POST /v1/chat", "POST /v1/chat", True),
        ("POST /v1/chat", "GET /v1/chat", False),
        ("POST /v1/chat", "POST /v1/chat/", False),
        ("POST /v1/chat", "POST /v1/chatter", False),
        ("/v1/chat", "POST /v1/chat", True),
        ("/v1/chat", "/v1/chat", True),
        ("* /v1/chat", "DELETE /v1/chat", True),
        ("GET /v1/users/*", "GET /v1/users/7", True),
        ("GET /v1/users/*", "GET /v1/users/7/posts", False),
        ("GET /v1/users/*/posts", "GET /v1/users/7/posts", True),
        ("GET /v1/**", "GET /v1/users/7/posts", True),
        ("GET /v1/**", "GET /v1", True),
        ("GET /v1/**", "GET /v12", False),
        ("/a.c", "/abc", False),
        ("/**", "GET /anything/at\nall", True),
    ],
)
def test_route_patterns(pattern, route, matches):
    assert bool(route_pattern(pattern).fullmatch(route)) is matches
    assert names([rule(1, match=Match(routes=(pattern,)))], route=route) == (["rule-1"] if matches else [])


@pytest.mark.parametrize("pattern", ["v1/chat", "post /v1", "GET", "GET  /v1", "", "/v1/us*r", "/*a*a*a", "/v1/**/x"])
def test_what_is_no_route_pattern_is_refused_with_a_sentence(pattern):
    with pytest.raises(ValueError, match="is not a"):
        route_pattern(pattern)


def test_the_longest_pattern_with_the_most_stars_costs_next_to_nothing():
    compiled = RuleSet(1, [rule(1, match=Match(routes=("/*" * 120 + "/end",)))])
    started = time.perf_counter()
    for length in range(1, 120):
        assert not select(compiled, route="/a" * length).rules
    assert time.perf_counter() - started < 1


def test_a_rule_does_not_match_a_check_that_lacks_what_it_counts_by():
    assert names([rule(1, type=RuleType.USER, key=("user",))]) == []
    assert names([rule(1, type=RuleType.CUSTOM, key=("attributes.team",))], attributes={"plan": "pro"}) == []


@pytest.mark.parametrize(
    ("condition", "value", "matches"),
    [
        (AttributeCondition(equals="pro"), "pro", True),
        (AttributeCondition(equals="pro"), "free", False),
        (AttributeCondition(one_of=("a", "b")), "b", True),
        (AttributeCondition(one_of=("a", "b")), "c", False),
        (AttributeCondition(prefix="pro-"), "pro-x", True),
        (AttributeCondition(prefix="pro-"), "p", False),
        (AttributeCondition(prefix=""), None, False),
    ],
)
def test_attribute_conditions(condition, value, matches):
    attributes = {} if value is None else {"plan": value}
    assert bool(names([rule(1, match=Match(attributes={"plan": condition}))], attributes=attributes)) is matches


def test_networks_match_after_unwrapping():
    rules = [rule(1, match=Match(ips=("10.0.0.0/8",)))]
    assert names(rules, ip="10.1.2.3") == names(rules, ip="::ffff:10.1.2.3") == names(rules, ip="64:ff9b::a01:203")
    assert names(rules, ip="10.1.2.3") == ["rule-1"]
    assert names(rules, ip="11.0.0.1") == names(rules) == []


def test_every_condition_must_hold():
    both = rule(1, match=Match(routes=("/a",), users=("u1",)))
    assert names([both], route="/a", user="u1") == ["rule-1"]
    assert names([both], route="/a", user="u2") == names([both], route="/b", user="u1") == []


def test_order_is_enforced_before_shadow_then_priority_then_id():
    rules = [
        rule(1, mode="shadow", priority=9), rule(2, priority=1), rule(3, priority=5), rule(4, priority=5), rule(5),
    ]  # fmt: skip
    assert names(rules) == ["rule-3", "rule-4", "rule-2", "rule-5", "rule-1"]


def test_at_most_ten_rules_are_evaluated_and_the_rest_is_said():
    selection = select(RuleSet(1, [rule(n) for n in range(1, 12)]))
    assert (len(selection.rules), selection.truncated) == (10, True)


def test_a_subset_by_name_and_unknown_names():
    rules = [rule(1), rule(2)]
    assert names(rules, rules=("rule-2",)) == ["rule-2"]
    with pytest.raises(InvalidRequest) as refused:
        names(rules, rules=("rule-1", "nope"))
    assert refused.value.errors[0][0] == "/rules/1"


def test_namespaces_are_apart_and_unknown_ones_are_not_found():
    rules = [rule(1), rule(2, namespace="other")]
    assert names(rules, namespace="other") == ["rule-2"]
    assert names([]) == []
    with pytest.raises(NotFound):
        names(rules, namespace="third")


def test_ipv6_counts_by_network_and_ipv4_by_address():
    counted = rule(1, type=RuleType.IP, key=("ip",))

    def key(ip):
        return prepared(counted, ip=ip).keys[0]

    assert key("2001:db8::1") == key("2001:db8::ffff:1")
    assert key("2001:db8::1") != key("2001:db8:0:1::1")
    assert key("192.0.2.1") == key("::ffff:192.0.2.1") != key("192.0.2.2")


def test_keys_share_the_tenant_s_hash_tag_and_nothing_a_caller_sends():
    key = prepared(rule(7, type=RuleType.USER, key=("user",)), tenant=42, user="}{evil}:\0").keys[0].decode()
    assert key.startswith("ratelimit:{42}:user:7:")
    assert "evil" not in key
    assert key.count("{") == key.count("}") == 1


pairs = st.tuples(st.text(max_size=8), st.text(max_size=8))


@given(one=pairs, other=pairs)
def test_two_identifiers_share_a_counter_only_if_they_are_equal(one, other):
    counted = rule(1, type=RuleType.CUSTOM, key=("attributes.a", "attributes.b"))
    same = counter_digest(counted, one, live=True) == counter_digest(counted, other, live=True)
    assert same is (one == other)
