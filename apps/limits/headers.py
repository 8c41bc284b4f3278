"""What a caller will see of a rule, written by the same serializer that answers checks."""

from dataclasses import dataclass

from apps.limits.selectors import RuleInfo
from apps.limits.specs import RuleSpec
from ratelimiter.engine.decision import Decision, Reason, RuleResult
from ratelimiter.engine.wire.render import Answer, decision_render


@dataclass(frozen=True, slots=True)
class HeaderExample:
    status: str
    is_allowed: bool
    headers: tuple[tuple[str, str], ...]


def header_examples(rule: RuleInfo | RuleSpec) -> list[HeaderExample]:
    """The first check of a window, and one past the limit; a shadow rule never denies and stays out of the headers."""
    first = _example(_answer(rule, remaining=max(0, rule.limit - 1), allowed=True))
    if rule.mode == "shadow":
        return [first]
    return [first, _example(_answer(rule, remaining=0, allowed=False))]


def _answer(rule: RuleInfo | RuleSpec, *, remaining: int, allowed: bool) -> Answer:
    wait_ms = 0 if allowed else -(-rule.window_ms // rule.limit)
    reset_ms = rule.window_ms if allowed else wait_ms
    result = RuleResult(rule.name, allowed, rule.mode, rule.limit, remaining, rule.window_ms, reset_ms, wait_ms)
    reason = Reason.OK if allowed else Reason.LIMIT_EXCEEDED
    decision = Decision(
        "chk_", 0, allowed, reason, degraded=False, truncated=False, policy=rule.name, limit=rule.limit,
        remaining=remaining, reset_ms=reset_ms, retry_after_ms=wait_ms, results=(result,),
    )  # fmt: skip
    return decision_render(decision)


def _example(answer: Answer) -> HeaderExample:
    is_allowed = answer.status == 200
    return HeaderExample("200 OK" if is_allowed else "429 Too Many Requests", is_allowed, tuple(answer.headers))
