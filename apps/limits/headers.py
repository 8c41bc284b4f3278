"""What a caller will see of a rule, written by the same serializer that answers checks."""

from dataclasses import dataclass

from apps.limits.selectors import RuleInfo
from apps.limits.specs import RuleSpec
from ratelimiter.engine.decision import Decision, Reason, RuleResult
from ratelimiter.engine.rules import MAX_UNITS, Algorithm
from ratelimiter.engine.wire.render import Answer, decision_render


@dataclass(frozen=True, slots=True)
class HeaderExample:
    status: str
    is_allowed: bool
    headers: tuple[tuple[str, str], ...]


def header_examples(rule: RuleInfo | RuleSpec) -> list[HeaderExample]:
    """The first check of a window, and one past the limit; a shadow rule never denies and stays out of the headers."""
    if rule.is_gate:
        return [_example(_gate_answer(rule))]
    first = _example(_answer(rule, remaining=max(0, rule.limit - 1), allowed=True))
    if rule.mode == "shadow":
        return [first]
    return [first, _example(_answer(rule, remaining=0, allowed=False))]


def _gate_answer(rule: RuleInfo | RuleSpec) -> Answer:
    is_allowed = rule.action == "allow"
    limit = MAX_UNITS if is_allowed else 0
    result = RuleResult(rule.name, is_allowed, rule.mode, limit, limit, rule.window_ms, 0, 0 if is_allowed else None)
    return _render(result, Reason.OK if is_allowed else Reason.BLOCKED)


def _answer(rule: RuleInfo | RuleSpec, *, remaining: int, allowed: bool) -> Answer:
    if rule.algorithm == Algorithm.CONCURRENCY:
        wait_ms, reset_ms, denial = None, rule.window_ms, Reason.CONCURRENCY_EXCEEDED
    else:
        wait_ms, denial = -(-rule.window_ms // rule.limit), Reason.LIMIT_EXCEEDED
        reset_ms = rule.window_ms if allowed else wait_ms
    result = RuleResult(
        rule.name, allowed, rule.mode, rule.limit, remaining, rule.window_ms, reset_ms, 0 if allowed else wait_ms
    )
    return _render(result, Reason.OK if allowed else denial)


def _render(result: RuleResult, reason: Reason) -> Answer:
    decision = Decision(
        "chk_", 0, result.allowed, reason, degraded=False, truncated=False, policy=result.rule, limit=result.limit,
        remaining=result.remaining, reset_ms=result.reset_ms, retry_after_ms=result.retry_after_ms, results=(result,),
    )  # fmt: skip
    return decision_render(decision)


def _example(answer: Answer) -> HeaderExample:
    is_allowed = answer.status == 200
    return HeaderExample("200 OK" if is_allowed else "429 Too Many Requests", is_allowed, tuple(answer.headers))
