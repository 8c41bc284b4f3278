"""Which rules a check meets. A RuleSet is compiled once per snapshot revision and never changes.

What a rule needs and the check lacks makes the rule not match: a rule per user says nothing about anonymous checks.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ratelimiter.engine import keys
from ratelimiter.engine.addresses import Networks, address_key
from ratelimiter.engine.algorithms.table import ALGORITHMS
from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import InvalidRequest, NotFound
from ratelimiter.engine.rules import MAX_RULES_PER_CHECK, AttributeCondition, Match, Rule, RuleMode

ATTRIBUTE_PREFIX = "attributes."
_MAX_CACHED_KEYS = 8_192

Predicate = Callable[[Check], bool]
Reader = Callable[[Check], str | None]


class Selection(NamedTuple):
    """Rules in the order of evaluation; `truncated` when more than the most allowed would have matched."""

    rules: Sequence["CompiledRule"]
    truncated: bool


class CompiledRule:
    """A rule with everything that does not depend on the check worked out."""

    __slots__ = ("_keys", "_predicates", "_readers", "_tenant", "algorithm", "numbers", "rule")

    def __init__(self, tenant: int, rule: Rule) -> None:
        self.rule = rule
        self.algorithm = ALGORITHMS[rule.algorithm]
        p1, p2 = self.algorithm.params(rule)
        shadow = int(rule.mode is RuleMode.SHADOW)
        self.numbers = (self.algorithm.code, shadow, rule.limit, p1, p2)
        self._tenant = tenant
        self._predicates = tuple(_predicates(rule.match))
        self._readers = tuple(_reader(name, rule) for name in rule.key)
        self._keys: dict[tuple[bool, tuple[str, ...]], bytes] = {}

    def matches(self, check: Check) -> bool:
        for reader in self._readers:
            if reader(check) is None:
                return False
        for predicate in self._predicates:
            if not predicate(check):
                return False
        return True

    def counter_key(self, check: Check, *, live: bool) -> bytes:
        """Only for a check that matches."""
        readers = self._readers
        values = tuple([reader(check) or "" for reader in readers]) if readers else ()
        cached = self._keys.get((live, values))
        if cached is not None:
            return cached
        if len(self._keys) >= _MAX_CACHED_KEYS:
            self._keys.clear()
        key = keys.counter_prefix(self._tenant, self.rule) + keys.counter_digest(self.rule, values, live=live)
        encoded = self._keys[live, values] = key.encode()
        return encoded


class RuleSet:
    """Every enabled rule of a tenant."""

    def __init__(self, tenant: int, rules: Iterable[Rule]) -> None:
        self.tenant = tenant
        ordered = sorted(rules, key=lambda rule: (rule.mode is RuleMode.SHADOW, -rule.priority, rule.id))
        self._by_namespace: dict[str, list[CompiledRule]] = {"default": []}
        for rule in ordered:
            self._by_namespace.setdefault(rule.namespace, []).append(CompiledRule(tenant, rule))

    def select(self, check: Check) -> Selection:
        """Raises NotFound for an unknown namespace, InvalidRequest for an unknown rule name."""
        candidates = self._by_namespace.get(check.namespace)
        if candidates is None:
            raise NotFound(f"namespace {check.namespace!r} has no rules")
        if check.rules is not None:
            candidates = _named(candidates, check.rules)
        matching = [compiled for compiled in candidates if compiled.matches(check)]
        if len(matching) > MAX_RULES_PER_CHECK:
            return Selection(matching[:MAX_RULES_PER_CHECK], truncated=True)
        return Selection(matching, truncated=False)


def route_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a route pattern (see rules.Match).

    A star stands for a whole segment, so matching is linear in the length of the route: stars within segments would let
    one rule keep a door busy for minutes. Raises ValueError with a sentence when it is no pattern.
    """
    method, space, path = pattern.partition(" ")
    if not space:
        method, path = "*", pattern
    if not path.startswith("/"):
        raise ValueError(f"{pattern!r} is not a route: write it as “POST /v1/chat” or “/v1/chat”")
    if method != "*" and not re.fullmatch(r"[A-Z]{1,16}", method):
        raise ValueError(f"{method!r} is not a method: write it in capitals, or * for any")
    method_part = r"(?:[A-Z]+ )?" if method == "*" else re.escape(method) + " "
    rest = path.endswith("/**")
    segments = (path[:-3] if rest else path).split("/")
    for segment in segments:
        if "*" in segment and segment != "*":
            raise ValueError(f"{segment!r} is not a segment: * stands for a whole one, and /** only at the end")
    path_part = "/".join("[^/]*" if segment == "*" else re.escape(segment) for segment in segments)
    return re.compile(method_part + path_part + ("(?:/.*)?" if rest else ""), re.DOTALL)


def _named(candidates: list[CompiledRule], names: tuple[str, ...]) -> list[CompiledRule]:
    wanted = set(names)
    found = [compiled for compiled in candidates if compiled.rule.name in wanted]
    missing = sorted(wanted - {compiled.rule.name for compiled in found})
    if missing:
        position = names.index(missing[0])
        raise InvalidRequest(
            f"no enabled rule is named {missing[0]!r}",
            (f"/rules/{position}", f"no enabled rule of this namespace is named {missing[0]!r}"),
        )
    return found


def _reader(dimension: str, rule: Rule) -> Reader:
    if dimension == "ip":
        prefix = rule.ipv6_prefix
        return lambda check: None if check.ip is None else address_key(check.ip, prefix)
    if dimension == "route":
        return lambda check: check.route
    if dimension == "user":
        return lambda check: check.user
    name = dimension.removeprefix(ATTRIBUTE_PREFIX)
    return lambda check: check.attributes.get(name)


def _predicates(match: Match) -> Iterable[Predicate]:
    if match.routes:
        yield _route_predicate(match.routes)
    if match.ips:
        networks = Networks(match.ips)
        yield lambda check: check.ip is not None and networks.contain(check.ip)
    if match.users:
        users = frozenset(match.users)
        yield lambda check: check.user in users
    for name, condition in match.attributes.items():
        yield _attribute_predicate(name, condition)


def _route_predicate(patterns: tuple[str, ...]) -> Predicate:
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern and " " in pattern)
    wild = [route_pattern(pattern) for pattern in patterns if pattern not in exact]

    def holds(check: Check) -> bool:
        route = check.route
        return route is not None and (route in exact or any(pattern.fullmatch(route) for pattern in wild))

    return holds


def _attribute_predicate(name: str, condition: AttributeCondition) -> Predicate:
    if condition.prefix is not None:
        prefix = condition.prefix
        return lambda check: check.attributes.get(name, "").startswith(prefix) and name in check.attributes
    accepted = frozenset(condition.one_of or ()) if condition.equals is None else frozenset((condition.equals,))
    return lambda check: check.attributes.get(name) in accepted
