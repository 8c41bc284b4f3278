"""A rule as somebody asks for it, and whether it can be: everything that is wrong at once, each beside its field."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from apps.core.errors import Invalid
from apps.limits.matches import MatchInvalid, match_normalise
from apps.limits.models import MAX_KEY, MAX_PRIORITY
from ratelimiter.engine.algorithms.token_bucket import tick_ms
from ratelimiter.engine.conditions import ATTRIBUTE_PREFIX
from ratelimiter.engine.rules import (
    MAX_BUCKET_TICKS,
    MAX_BURST_FACTOR,
    MAX_UNITS,
    MAX_WINDOW_MS,
    MIN_WINDOW_MS,
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
    """`key` None is what the type says; `match` as apps.limits.matches takes it; `burst` 0 is the limit."""

    name: str
    type: str
    limit: int
    window_ms: int
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


def spec_verify(spec: RuleSpec) -> RuleSpec:
    """The spec with key and match in the form that is stored. Raises Invalid with every field at fault."""
    fields = dict(_problems(spec))
    match: dict[str, Any] = {}
    try:
        match = match_normalise(spec.match)
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


def _problems(spec: RuleSpec) -> Iterator[Problem]:
    for name in ("name", "namespace"):
        if not NAME.fullmatch(getattr(spec, name)):
            yield name, "Use 1 to 64 of a-z, 0-9, _ and -."
    for name, choices in _CHOICES.items():
        if getattr(spec, name) not in set(choices):
            yield name, f"Must be one of: {', '.join(choices)}."
    for name, least, most in _RANGES:
        if not least <= getattr(spec, name) <= most:
            yield name, f"Must be between {least:,} and {most:,}."
    yield from _window_problems(spec.window_ms)
    yield from _burst_problems(spec)
    yield from _key_problems(spec)


def _window_problems(window_ms: int) -> Iterator[Problem]:
    if not MIN_WINDOW_MS <= window_ms <= MAX_WINDOW_MS:
        yield "window_ms", "Must be between 1 second and 400 days."
    elif window_ms % 1_000:
        yield "window_ms", "Must be whole seconds."


def _burst_problems(spec: RuleSpec) -> Iterator[Problem]:
    bucket = spec.algorithm == Algorithm.TOKEN_BUCKET
    if not bucket:
        if spec.burst:
            yield "burst", "Only the token bucket has a burst."
        return
    capacity = spec.burst or spec.limit
    if spec.burst > spec.limit * MAX_BURST_FACTOR:
        yield "burst", f"Must be at most {MAX_BURST_FACTOR:,} times the limit."
    elif spec.window_ms > 0 and capacity * (spec.window_ms // tick_ms(spec.window_ms)) > MAX_BUCKET_TICKS:
        most = MAX_BUCKET_TICKS // (spec.window_ms // tick_ms(spec.window_ms))
        name = "burst" if spec.burst else "limit"
        yield name, f"Too large for a bucket with this window: at most {most:,}."


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
            if not _is_dimension(dimension):
                yield "key", f"“{dimension}” is not a dimension; use ip, route, user or attributes.<name>."
                return


def _is_dimension(text: str) -> bool:
    if text in ("ip", "route", "user"):
        return True
    name = text.removeprefix(ATTRIBUTE_PREFIX)
    return name != text and name.isprintable() and 1 <= len(name.encode(errors="replace")) <= MAX_ATTRIBUTE_NAME_BYTES


_CHOICES: dict[str, list[str]] = {
    "type": [value.value for value in RuleType],
    "algorithm": [value.value for value in Algorithm],
    "mode": [value.value for value in RuleMode],
    "on_failure": [value.value for value in FailurePolicy],
}
_RANGES = (
    ("limit", 1, MAX_UNITS),
    ("burst", 0, MAX_UNITS),
    ("priority", -MAX_PRIORITY, MAX_PRIORITY),
    ("ipv6_prefix", 16, 128),
)
