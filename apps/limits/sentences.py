"""A rule as the sentence people read: pieces of text, some of them strong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MOST_NAMED = 3  # alternatives spelled out before "and 5 more"

FAILURE_WORDS = {"local": "keep limiting locally", "open": "let requests pass", "closed": "deny"}
ALGORITHM_WORDS = {"sliding_window": "sliding window", "fixed_window": "fixed window", "token_bucket": "token bucket"}
DIMENSION_WORDS = {"ip": "IP address", "route": "route", "user": "user"}
UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    strong: bool = False


class Sentenced(Protocol):
    """What RuleInfo and RuleSpec have in common."""

    @property
    def key(self) -> Sequence[str] | None: ...
    @property
    def match(self) -> Mapping[str, Any]: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def limit(self) -> int: ...
    @property
    def window_ms(self) -> int: ...
    @property
    def burst(self) -> int: ...
    @property
    def mode(self) -> str: ...
    @property
    def on_failure(self) -> str: ...


def sentence(rule: Sentenced) -> list[Piece]:
    pieces = [*_subject(rule.key or ()), *_conditions(rule.match)]
    pieces += [Piece(" allow "), Piece(f"{rule.limit:,}", strong=True), Piece(" per ")]
    pieces += [Piece(window_phrase(rule.window_ms), strong=True), Piece(" (")]
    pieces += [Piece(ALGORITHM_WORDS[rule.algorithm], strong=True)]
    if rule.burst and rule.burst != rule.limit:
        pieces += [Piece(", bursts up to "), Piece(f"{rule.burst:,}", strong=True)]
    verb = "only record it" if rule.mode == "shadow" else "deny"
    pieces += [Piece("). When exceeded, "), Piece(verb, strong=True), Piece(". If our store cannot be reached, ")]
    return [*pieces, Piece(FAILURE_WORDS[rule.on_failure], strong=True), Piece(".")]


def sentence_text(rule: Sentenced) -> str:
    return "".join(piece.text for piece in sentence(rule))


def window_phrase(window_ms: int) -> str:
    """60 000 is "1 minute", 90 000 is "90 seconds"."""
    count, unit = window_parts(window_ms)
    return f"{count:,} {unit}" + ("" if count == 1 else "s")


def window_parts(window_ms: int) -> tuple[int, str]:
    """(90, "second"): the largest unit that fits in whole."""
    for size, unit in UNITS:
        if window_ms % size == 0:
            return window_ms // size, unit
    return window_ms // 1_000, "second"


def dimension_words(dimension: str) -> str:
    return DIMENSION_WORDS.get(dimension, dimension.removeprefix("attributes."))


def _subject(key: Sequence[str]) -> list[Piece]:
    if not key:
        return [Piece("For "), Piece("everyone together", strong=True)]
    return [Piece("For each "), Piece(" and ".join(dimension_words(name) for name in key), strong=True)]


def _conditions(match: Mapping[str, Any]) -> list[Piece]:
    pieces: list[Piece] = []
    for part, word in (("routes", " on "), ("ips", " from "), ("users", " that is ")):
        if match.get(part):
            pieces += [Piece(word), Piece(_alternatives(match[part]), strong=True)]
    for position, (name, condition) in enumerate(sorted(match.get("attributes", {}).items())):
        pieces += [Piece(" and " if position else " where "), Piece(f"{name} {_comparison(condition)}", strong=True)]
    return pieces


def _comparison(condition: Mapping[str, Any]) -> str:
    if "equals" in condition:
        return f"is {condition['equals']}"
    if "prefix" in condition:
        return f"starts with {condition['prefix']}"
    return f"is {_alternatives(condition['in'])}"


def _alternatives(values: Sequence[str]) -> str:
    named, rest = list(values[:MOST_NAMED]), len(values) - MOST_NAMED
    if rest > 0:
        return f"{', '.join(named)} or {rest} more"
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"
