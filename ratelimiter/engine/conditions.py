"""What a rule asks of a check, as predicates that are worked out once."""

import re
from collections.abc import Callable, Iterable
from operator import attrgetter

from ratelimiter.engine.addresses import Networks, address_key
from ratelimiter.engine.decision import Check
from ratelimiter.engine.rules import AttributeCondition, Match

ATTRIBUTE_PREFIX = "attributes."

Predicate = Callable[[Check], bool]
Reader = Callable[[Check], str | None]


def reader(dimension: str, ipv6_prefix: int) -> Reader:
    """Reads the value that is counted by; None when the check lacks it. IPv6 addresses become networks."""
    if dimension == "ip":
        return lambda check: None if check.ip is None else address_key(check.ip, ipv6_prefix)
    if dimension in ("route", "user"):
        return attrgetter(dimension)
    name = dimension.removeprefix(ATTRIBUTE_PREFIX)
    return lambda check: check.attributes.get(name)


def predicates(match: Match) -> Iterable[tuple[str, Predicate]]:
    """Each with the part of the check that it looks at. Raises ValueError."""
    if match.routes:
        yield "route", _route_predicate(match.routes)
    if match.ips:
        networks = Networks(match.ips)
        yield "ip", lambda check: check.ip is not None and networks.contain(check.ip)
    if match.users:
        users = frozenset(match.users)
        yield "user", lambda check: check.user in users
    for name, condition in match.attributes.items():
        yield f"{ATTRIBUTE_PREFIX}{name}", _attribute_predicate(name, condition)


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
