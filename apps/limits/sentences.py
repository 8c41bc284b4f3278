"""A rule as the sentence people read: pieces of text, some of them strong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MOST_NAMED = 3  # alternatives spelled out before "and 5 more"

FAILURE_WORDS = {"local": "keep limiting locally", "open": "let requests pass", "closed": "deny"}
ALGORITHM_WORDS = {
    "sliding_window": "sliding window",
    "fixed_window": "fixed window",
    "token_bucket": "token bucket",
    "sliding_log": "sliding log",
    "concurrency": "concurrency",
}
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
    @property
    def action(self) -> str: ...
    @property
    def calendar_unit(self) -> str: ...
    @property
    def calendar_zone(self) -> str: ...
    @property
    def calendar_anchor(self) -> int: ...
    @property
    def escalation_breaches(self) -> int: ...
    @property
    def escalation_within_ms(self) -> int: ...
    @property
    def escalation_block_ms(self) -> int: ...


def sentence(rule: Sentenced) -> list[Piece]:
    if rule.action != "limit":
        return _gate(rule)
    pieces = [*_subject(rule.key or ()), *_conditions(rule.match), *_allowance(rule), Piece(" (")]
    pieces += [Piece(ALGORITHM_WORDS[rule.algorithm], strong=True)]
    if rule.burst and rule.burst != rule.limit:
        pieces += [Piece(", bursts up to "), Piece(f"{rule.burst:,}", strong=True)]
    verb = "only record it" if rule.mode == "shadow" else "deny"
    pieces += [Piece("). When exceeded, "), Piece(verb, strong=True)]
    if rule.escalation_breaches and rule.mode != "shadow":
        pieces += _escalation(rule)
    pieces.append(Piece(". If our store cannot be reached, "))
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


def window_words(rule: Sentenced) -> str:
    """What follows “per”: “1 minute”, “calendar day in UTC”, “month from the 15th in Europe/Berlin”."""
    if rule.calendar_unit == "month" and rule.calendar_anchor != 1:
        return f"month from the {ordinal(rule.calendar_anchor)} in {rule.calendar_zone}"
    if rule.calendar_unit:
        return f"calendar {rule.calendar_unit} in {rule.calendar_zone}"
    return window_phrase(rule.window_ms)


def ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 11th; of a day of the month."""
    ending = "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _gate(rule: Sentenced) -> list[Piece]:
    verb = "Always let pass" if rule.action == "allow" else "Always refuse"
    rest = "; no other rule counts them." if rule.action == "allow" else ", before any other rule."
    return [Piece(verb, strong=True), Piece(" checks"), *_conditions(rule.match, users=" of "), Piece(rest)]


def _allowance(rule: Sentenced) -> list[Piece]:
    limit = Piece(f"{rule.limit:,}", strong=True)
    if rule.algorithm == "concurrency":
        longest = Piece(window_phrase(rule.window_ms), strong=True)
        return [Piece(" allow at most "), limit, Piece(" at a time, each for at most "), longest]
    return [Piece(" allow "), limit, Piece(" per "), Piece(window_words(rule), strong=True)]


def _escalation(rule: Sentenced) -> list[Piece]:
    denials = f"{rule.escalation_breaches:,} denial{'' if rule.escalation_breaches == 1 else 's'}"
    return [
        Piece("; after "),
        Piece(denials, strong=True),
        Piece(" within "),
        Piece(window_phrase(rule.escalation_within_ms), strong=True),
        Piece(", block for "),
        Piece(window_phrase(rule.escalation_block_ms), strong=True),
        Piece(" and twice as long each time again"),
    ]


def _subject(key: Sequence[str]) -> list[Piece]:
    if not key:
        return [Piece("For "), Piece("everyone together", strong=True)]
    return [Piece("For each "), Piece(" and ".join(dimension_words(name) for name in key), strong=True)]


def _conditions(match: Mapping[str, Any], *, users: str = " that is ") -> list[Piece]:
    pieces: list[Piece] = []
    for part, word in (("routes", " on "), ("ips", " from "), ("users", users)):
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
