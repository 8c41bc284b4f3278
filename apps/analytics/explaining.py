"""Why a check was decided as it was, in words: which rule, which counter, and what would have let it pass."""

from collections.abc import Mapping
from dataclasses import dataclass

from apps.analytics.events import EventInfo
from apps.limits.selectors import RuleInfo
from apps.limits.sentences import Piece, sentence

REASON_WORDS = {
    "ok": "Every rule had room.",
    "no_rule": "No rule fits it, so it passed.",
    "limit_exceeded": "The counter was full. It passes when there is room again; the answer said after how long.",
    "cost_exceeds_limit": "It cost more than the rule ever allows. Waiting does not help; a smaller cost does.",
    "concurrency_exceeded": "All slots were taken. It passes when one of those who hold them is done.",
    "blocked": "A rule that denies or a blocking override names this value. Without that it would pass.",
    "fallback_open": "The counters could not be reached, and the rule then lets pass.",
    "fallback_closed": "The counters could not be reached, and the rule then denies. It passes when they are back.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule said. `counter` are the values that it counts by; `sentence` is the rule as it is today."""

    rule_id: int
    name: str
    outcome: str
    counter: tuple[tuple[str, str], ...]
    sentence: tuple[Piece, ...]
    is_there: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """`decisive` denied it, or would have in shadow; `others` passed it."""

    event: EventInfo
    why: str
    key: str
    decisive: tuple[Verdict, ...]
    others: tuple[Verdict, ...]


def explained(event: EventInfo, *, rules: Mapping[int, RuleInfo], keys: Mapping[int, str]) -> Explained:
    verdicts = [_verdict(event, said.rule_id, said.outcome, rules.get(said.rule_id)) for said in event.results]
    return Explained(
        event=event,
        why=REASON_WORDS.get(event.reason, event.reason.replace("_", " ")),
        key=keys.get(event.key_id, f"key {event.key_id}"),
        decisive=tuple(verdict for verdict in verdicts if verdict.outcome != "passed"),
        others=tuple(verdict for verdict in verdicts if verdict.outcome == "passed"),
    )


def _verdict(event: EventInfo, rule_id: int, outcome: str, rule: RuleInfo | None) -> Verdict:
    if rule is None:
        name = "a limit that came with the check" if rule_id == 0 else f"rule {rule_id}, which is gone"
        return Verdict(rule_id, name, outcome, (), (), is_there=False)
    counter = tuple((name, _value(event, name)) for name in rule.key)
    return Verdict(rule_id, rule.name, outcome, counter, tuple(sentence(rule)), is_there=True)


def _value(event: EventInfo, dimension: str) -> str:
    if dimension in {"ip", "user", "route"}:
        return getattr(event, dimension) or "none"
    return event.attributes.get(dimension.removeprefix("attributes."), "none")
