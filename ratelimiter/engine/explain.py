"""Why a check meets the rules that it meets. Looks at what `RuleSet.select` looks at, and says what it sees."""

import msgspec

from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import CompiledRule, RuleSet
from ratelimiter.engine.rules import MAX_RULES_PER_CHECK, UNLIMITED, Action, Override


class RuleExplanation(msgspec.Struct, frozen=True):
    """`why` is a sentence. `key` are the values that the rule counts this check by, None when it does not match.

    `override` is the pattern of the override in force, one value per dimension.
    """

    rule: str
    action: str
    mode: str
    matches: bool
    evaluated: bool
    why: str
    key: dict[str, str] | None
    override: tuple[str, ...] | None


class Explanation(msgspec.Struct, frozen=True):
    """Every enabled rule of the namespace, gates first, in the order of evaluation."""

    namespace: str
    rules: tuple[RuleExplanation, ...]


def explain(rule_set: RuleSet, check: Check, *, now_ms: int) -> Explanation:
    """Raises NotFound (namespace) and InvalidRequest (rule names)."""
    named = rule_set.candidates(check)
    everything = rule_set.candidates(msgspec.structs.replace(check, rules=None))
    explained = []
    decided_by: str | None = None
    for gate in rule_set.gates(check):
        one = _explain(gate, check, now_ms, evaluated=decided_by is None)
        if one.evaluated and gate.rule.mode == "enforce":
            decided_by = gate.rule.name
        explained.append(one)
    room = 0 if decided_by else MAX_RULES_PER_CHECK - len(check.limits)
    for compiled in everything:
        one = _explain(compiled, check, now_ms, evaluated=room > 0)
        if one.matches and compiled not in named:
            one = msgspec.structs.replace(one, evaluated=False, why="It matches, but the check names other rules.")
        elif one.matches and decided_by:
            one = msgspec.structs.replace(one, why=f"It matches, but {decided_by} decides before it.")
        elif one.evaluated:
            room -= 1
        explained.append(one)
    return Explanation(check.namespace, tuple(explained))


def _explain(compiled: CompiledRule, check: Check, now_ms: int, *, evaluated: bool) -> RuleExplanation:
    rule = compiled.rule
    obstacle = compiled.obstacle(check)
    if obstacle is not None:
        return RuleExplanation(
            rule.name, rule.action, rule.mode, matches=False, evaluated=False, why=obstacle, key=None, override=None
        )
    values = compiled.values(check)
    override = compiled.override_for(values, now_ms)
    why = _sentence(rule.action, override) if evaluated else f"It matches, but {MAX_RULES_PER_CHECK} rules come before."
    return RuleExplanation(
        rule.name, rule.action, rule.mode, matches=True, evaluated=evaluated, why=why,
        key=dict(zip(rule.key, values, strict=True)), override=override.values if override else None,
    )  # fmt: skip


def _sentence(action: Action, override: Override | None) -> str:
    if action is Action.DENY:
        return "It matches and refuses the check."
    if action is Action.ALLOW:
        return "It matches and lets the check pass without counting."
    if override is None:
        return "It matches and counts the check."
    if override.limit == 0:
        return "It matches, and an override blocks these values."
    if override.limit == UNLIMITED:
        return "It matches, and an override lets these values pass without counting."
    return f"It matches, and an override sets the limit to {override.limit}."
