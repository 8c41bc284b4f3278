"""A rule as somebody asks for it, and whether it can be: everything that is wrong at once, each beside its field."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from apps.core.errors import Invalid
from apps.limits.matches import MAX_ALTERNATIVES, MAX_LISTED, MatchInvalid, match_normalise
from apps.limits.models import (
    CALENDAR_WINDOW_MS,
    LEASE_SHARE,
    LEASED,
    LOGGED,
    MAX_BLOCK_MS,
    MAX_BREACHES,
    MAX_KEY,
    MAX_PRIORITY,
    MIN_LEASED_LIMIT,
)
from ratelimiter.engine.algorithms.token_bucket import tick_ms
from ratelimiter.engine.conditions import ATTRIBUTE_PREFIX
from ratelimiter.engine.rules import (
    MAX_BUCKET_TICKS,
    MAX_BURST_FACTOR,
    MAX_LOGGED,
    MAX_UNITS,
    MAX_WINDOW_MS,
    MIN_WINDOW_MS,
    Action,
    Algorithm,
    FailurePolicy,
    RuleMode,
    RuleType,
)
from ratelimiter.engine.wire.decode import MAX_ATTRIBUTE_NAME_BYTES, NAME

KEY_OF_TYPE: dict[str, tuple[str, ...]] = {
    RuleType.GLOBAL: (),
    RuleType.IP: ("ip",),
    RuleType.ROUTE: ("route",),
    RuleType.USER: ("user",),
}

_WINDOW = re.compile(r"([0-9]{1,9})([smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

Problem = tuple[str, str]  # field, sentence


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """`key` None is what the type says; `match` as apps.limits.matches takes it; `burst` 0 is the limit.

    `window_ms` 0 is what the calendar says. What allows or denies has neither limit nor window.
    """

    name: str
    type: str = RuleType.GLOBAL.value
    limit: int = 0
    window_ms: int = 0
    namespace: str = "default"
    match: Mapping[str, Any] = field(default_factory=dict)
    key: tuple[str, ...] | None = None
    algorithm: str = Algorithm.SLIDING_WINDOW.value
    burst: int = 0
    mode: str = RuleMode.ENFORCE.value
    on_failure: str = FailurePolicy.LOCAL.value
    priority: int = 0
    enabled: bool = True
    ipv6_prefix: int = 64
    action: str = Action.LIMIT.value
    calendar_unit: str = ""
    calendar_zone: str = "UTC"
    calendar_anchor: int = 1
    escalation_breaches: int = 0
    escalation_within_ms: int = 0
    escalation_block_ms: int = 0
    lease: int = 0

    @property
    def is_gate(self) -> bool:
        """It allows or denies and counts nothing."""
        return self.action in (Action.ALLOW, Action.DENY)


def spec_verify(spec: RuleSpec) -> RuleSpec:
    """The spec with key, window and match in the form that is stored. Raises Invalid with every field at fault."""
    spec = replace(spec, window_ms=spec.window_ms or _window_implied(spec))
    fields = dict(_problems(spec))
    match: dict[str, Any] = {}
    try:
        match = match_normalise(spec.match, most=MAX_LISTED if spec.is_gate else MAX_ALTERNATIVES)
    except MatchInvalid as error:
        fields.update(error.fields)
    if fields:
        raise Invalid("The rule is not valid.", fields=fields)
    key = KEY_OF_TYPE.get(spec.type, spec.key or ())
    return replace(spec, match=match, key=tuple(key))


def window_parse(text: str) -> int:
    """`10s`, `5m`, `1h`, `1d` in ms. Raises ValueError with a sentence."""
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"“{text}” is not a window; write it as 10s, 5m, 1h or 1d.")
    return int(found[1]) * _UNIT_MS[found[2]]


def window_words(window_ms: int) -> str:
    """The shortest spelling that `window_parse` reads back."""
    for unit in ("d", "h", "m"):
        if window_ms % _UNIT_MS[unit] == 0:
            return f"{window_ms // _UNIT_MS[unit]}{unit}"
    return f"{window_ms // 1_000}s"


def is_dimension(text: str) -> bool:
    """Whether a rule can count by it."""
    if text in ("ip", "route", "user"):
        return True
    name = text.removeprefix(ATTRIBUTE_PREFIX)
    return name != text and name.isprintable() and 1 <= len(name.encode(errors="replace")) <= MAX_ATTRIBUTE_NAME_BYTES


def counting_problems(*, algorithm: str, limit: int, burst: int, window_ms: int) -> Iterator[Problem]:
    """What a counter of that kind cannot hold: about limit and burst, also those of an override."""
    if algorithm in LOGGED and limit > MAX_LOGGED:
        yield "limit", f"At most {MAX_LOGGED:,}: this algorithm keeps what it counts one by one."
    if algorithm != Algorithm.TOKEN_BUCKET:
        if burst:
            yield "burst", "Only the token bucket has a burst."
        return
    if burst > limit * MAX_BURST_FACTOR:
        yield "burst", f"Must be at most {MAX_BURST_FACTOR:,} times the limit."
    elif window_ms > 0 and (burst or limit) * (window_ms // tick_ms(window_ms)) > MAX_BUCKET_TICKS:
        most = MAX_BUCKET_TICKS // (window_ms // tick_ms(window_ms))
        yield "burst" if burst else "limit", f"Too large for a bucket with this window: at most {most:,}."


def _window_implied(spec: RuleSpec) -> int:
    return MIN_WINDOW_MS if spec.is_gate else CALENDAR_WINDOW_MS.get(spec.calendar_unit, 0)


def _problems(spec: RuleSpec) -> Iterator[Problem]:
    for name in ("name", "namespace"):
        if not NAME.fullmatch(getattr(spec, name)):
            yield name, "Use 1 to 64 of a-z, 0-9, _ and -."
    for name, choices in _CHOICES.items():
        if getattr(spec, name) not in set(choices):
            yield name, f"Must be one of: {', '.join(filter(None, choices))}."
    for name, least, most in _RANGES:
        if not least <= getattr(spec, name) <= most:
            yield name, f"Must be between {least:,} and {most:,}."
    if spec.is_gate:
        yield from _gate_problems(spec)
        return
    if not 1 <= spec.limit <= MAX_UNITS:
        yield "limit", f"Must be between 1 and {MAX_UNITS:,}."
    yield from _window_problems(spec)
    yield from counting_problems(algorithm=spec.algorithm, limit=spec.limit, burst=spec.burst, window_ms=spec.window_ms)
    yield from _calendar_problems(spec)
    yield from _escalation_problems(spec)
    yield from _lease_problems(spec)
    yield from _key_problems(spec)


def _gate_problems(spec: RuleSpec) -> Iterator[Problem]:
    """It stands before all other rules and counts nothing; all there is to say is what it matches."""
    plain = RuleSpec(name=spec.name, window_ms=MIN_WINDOW_MS)
    for name in _COUNTING:
        if getattr(spec, name) != getattr(plain, name):
            yield name, f"A rule that {_VERBS[spec.action]} counts nothing, so it has none."
    if spec.type != RuleType.GLOBAL or spec.key:
        yield "type", f"A rule that {_VERBS[spec.action]} is of type “global”; its conditions say whom it is about."
    if spec.mode != RuleMode.ENFORCE:
        yield "mode", f"A rule that {_VERBS[spec.action]} cannot be in shadow; switch it off instead."
    if not spec.match and spec.action == Action.DENY:
        yield "match", "Without a condition it would refuse everything; say whom it is about."
    if not spec.match and spec.action == Action.ALLOW:
        yield "match", "Without a condition no other rule would count; say whom it is about."


def _window_problems(spec: RuleSpec) -> Iterator[Problem]:
    if spec.calendar_unit:
        if spec.window_ms != CALENDAR_WINDOW_MS.get(spec.calendar_unit, spec.window_ms):
            yield "window_ms", f"The calendar says it: a {spec.calendar_unit}."
    elif not MIN_WINDOW_MS <= spec.window_ms <= MAX_WINDOW_MS:
        yield "window_ms", "Must be between 1 second and 400 days."
    elif spec.window_ms % 1_000:
        yield "window_ms", "Must be whole seconds."


def _calendar_problems(spec: RuleSpec) -> Iterator[Problem]:
    if not spec.calendar_unit:
        if spec.calendar_zone != "UTC" or spec.calendar_anchor != 1:
            yield "calendar_unit", "Say day or month."
        return
    if spec.algorithm != Algorithm.FIXED_WINDOW:
        yield "algorithm", "Only the fixed window counts by the calendar."
    if spec.calendar_zone not in zones():
        yield "calendar_zone", f"“{spec.calendar_zone}” is no time zone; write it as Europe/Berlin or UTC."
    if spec.calendar_unit == "month" and not 1 <= spec.calendar_anchor <= 31:
        yield "calendar_anchor", "Must be between 1 and 31."
    if spec.calendar_unit == "day" and spec.calendar_anchor != 1:
        yield "calendar_anchor", "Only a month begins on a day of one’s choice."


def _escalation_problems(spec: RuleSpec) -> Iterator[Problem]:
    if not (spec.escalation_breaches or spec.escalation_within_ms or spec.escalation_block_ms):
        return
    if spec.algorithm == Algorithm.CONCURRENCY:
        yield "escalation_breaches", "A rule that counts what is under way does not block."
    if not 1 <= spec.escalation_breaches <= MAX_BREACHES:
        yield "escalation_breaches", f"Must be between 1 and {MAX_BREACHES:,}."
    for name in ("escalation_within_ms", "escalation_block_ms"):
        if not 1_000 <= getattr(spec, name) <= MAX_BLOCK_MS:
            yield name, "Must be between 1 second and 7 days."
        elif getattr(spec, name) % 1_000:
            yield name, "Must be whole seconds."


def _lease_problems(spec: RuleSpec) -> Iterator[Problem]:
    if not spec.lease:
        return
    if spec.algorithm not in LEASED:
        yield "lease", "Only windows and buckets can be leased from; this algorithm keeps what it counts one by one."
    elif spec.limit < MIN_LEASED_LIMIT:
        yield "lease", f"Only for limits of {MIN_LEASED_LIMIT} and more."
    elif spec.lease > spec.limit // LEASE_SHARE:
        yield "lease", f"At most a tenth of the limit: {spec.limit // LEASE_SHARE:,}."


@cache
def zones() -> frozenset[str]:
    """The names of the IANA database. Reading them takes a while, so once."""
    return frozenset(available_timezones())


def _key_problems(spec: RuleSpec) -> Iterator[Problem]:
    implied = KEY_OF_TYPE.get(spec.type)
    if implied is not None:
        if spec.key is not None and tuple(spec.key) != implied:
            words = f"[{', '.join(implied)}]" if implied else "no key"
            yield "key", f"A rule of type “{spec.type}” has {words}; use type “custom” for others."
    elif spec.type == RuleType.CUSTOM:
        yield from _custom_key_problems(spec.key or ())


def _custom_key_problems(key: tuple[str, ...]) -> Iterator[Problem]:
    if not 1 <= len(key) <= MAX_KEY:
        yield "key", f"A custom rule has 1 to {MAX_KEY} of ip, route, user and attributes.<name>."
    elif len(set(key)) < len(key):
        yield "key", "Name each dimension once."
    else:
        for dimension in key:
            if not is_dimension(dimension):
                yield "key", f"“{dimension}” is not a dimension; use ip, route, user or attributes.<name>."
                return


_CHOICES: dict[str, list[str]] = {
    "action": [value.value for value in Action],
    "calendar_unit": ["", *CALENDAR_WINDOW_MS],
    "type": [value.value for value in RuleType],
    "algorithm": [value.value for value in Algorithm],
    "mode": [value.value for value in RuleMode],
    "on_failure": [value.value for value in FailurePolicy],
}
_RANGES = (
    ("burst", 0, MAX_UNITS),
    ("lease", 0, MAX_UNITS),
    ("priority", -MAX_PRIORITY, MAX_PRIORITY),
    ("ipv6_prefix", 16, 128),
)
_COUNTING = (
    "limit", "window_ms", "algorithm", "burst", "on_failure", "calendar_unit", "calendar_zone", "calendar_anchor",
    "escalation_breaches", "escalation_within_ms", "escalation_block_ms", "lease",
)  # fmt: skip
_VERBS = {"allow": "allows", "deny": "denies"}
