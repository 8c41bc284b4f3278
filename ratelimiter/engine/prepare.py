"""Deciding without I/O: `prepare` turns a check into what the script needs, `interpret` its reply into a decision.

Between the two stands one call to a store, sync or async; that call is all in which the doors differ.
"""

from collections.abc import Sequence

import msgspec

from ratelimiter.engine.algorithms.base import NEVER
from ratelimiter.engine.decision import Check, Decision, Reason, RuleResult, Verdict
from ratelimiter.engine.errors import CallLate
from ratelimiter.engine.matching import CompiledRule, RuleSet
from ratelimiter.engine.rules import RuleMode

MODES = {"consume": 0, "peek": 1, "report": 2}
VALUES_PER_RULE = 4
FALLBACK_RETRY_MS = 1_000
ALLOWED_WITHOUT_RULES = (1,)  # what the script would reply on a check that met no rule; no store need be asked

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[int])

# Plain sets and numbers: the hot path meets them several times a check, and an enum's members are looked up slowly.
_PASSING = frozenset((int(Verdict.ALLOWED), int(Verdict.FALLBACK_OPEN)))
_FALLBACK_OPEN = int(Verdict.FALLBACK_OPEN)
_ENFORCE = RuleMode.ENFORCE

_DENIAL_REASON = {
    Verdict.DENIED: Reason.LIMIT_EXCEEDED,
    Verdict.COST_EXCEEDS_LIMIT: Reason.COST_EXCEEDS_LIMIT,
    Verdict.FALLBACK_CLOSED: Reason.FALLBACK_CLOSED,
}


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """One check, ready for a store: `rules[i]` counts in `keys[i]`."""

    tenant: int
    check: Check
    rules: Sequence[CompiledRule]
    keys: Sequence[bytes]
    truncated: bool


class Call(msgspec.Struct, frozen=True):
    """One script call. `offsets[i]` is where the part of the i-th check begins in the reply."""

    keys: list[bytes]
    argument: bytes
    offsets: list[int]


def prepare(rule_set: RuleSet, check: Check, *, live: bool) -> Prepared:
    """Raises NotFound (namespace) and InvalidRequest (rule names)."""
    rules, truncated = rule_set.select(check)
    return Prepared(rule_set.tenant, check, rules, [rule.counter_key(check, live=live) for rule in rules], truncated)


def encode(batch: Sequence[Prepared], *, not_after_ms: int = 0) -> Call:
    """`not_after_ms` in the store's time; 0 sets no bound."""
    index_of: dict[bytes, int] = {}
    numbers = [not_after_ms]
    offsets = []
    offset = 1
    for prepared in batch:
        check = prepared.check
        offsets.append(offset)
        offset += 1 + VALUES_PER_RULE * len(prepared.rules)
        numbers += (MODES[check.mode], check.cost, len(prepared.rules))
        for rule, key in zip(prepared.rules, prepared.keys, strict=True):
            numbers.append(index_of.setdefault(key, len(index_of) + 1))
            numbers += rule.numbers
    return Call(list(index_of), _encoder.encode(numbers), offsets)


def reply_decode(raw: bytes) -> list[int]:
    """The script's reply as numbers, the store's time first. Raises CallLate when nothing was counted."""
    numbers = _decoder.decode(raw)
    if len(numbers) == 1:
        raise CallLate(numbers[0])
    return numbers


def interpret(prepared: Prepared, reply: Sequence[int], offset: int, *, degraded: bool = False) -> Decision:
    """`reply[offset]` is the verdict on the whole check, four numbers per rule follow (see lua/check.lua)."""
    allowed = reply[offset] == 1
    results = []
    verdicts = []
    binding = -1
    at = offset + 1
    for position, compiled in enumerate(prepared.rules):
        rule = compiled.rule
        verdict, remaining, reset_ms, retry_ms = reply[at : at + VALUES_PER_RULE]
        at += VALUES_PER_RULE
        results.append(
            RuleResult(
                rule.name, verdict in _PASSING, rule.mode, rule.limit, remaining, rule.window_ms, reset_ms,
                None if retry_ms == NEVER else retry_ms,
            )
        )  # fmt: skip
        verdicts.append(verdict)
        if rule.mode is _ENFORCE and (binding < 0 or _binds(results[position], results[binding], allowed=allowed)):
            binding = position
    rules = tuple([compiled.rule for compiled in prepared.rules])
    if binding < 0:
        nothing = (None, None, None, None, None)
        return Decision(True, Reason.NO_RULE, degraded, prepared.truncated, *nothing, tuple(results), rules)  # noqa: FBT003
    winner = results[binding]
    return Decision(
        allowed, _reason(verdicts, binding, allowed=allowed), degraded, prepared.truncated,
        winner.rule, winner.limit, winner.remaining, winner.reset_ms, winner.retry_after_ms, tuple(results), rules,
    )  # fmt: skip


def _binds(candidate: RuleResult, holder: RuleResult, *, allowed: bool) -> bool:
    """Of the denying rules the longest to wait binds (never is longest), else the least remaining / limit."""
    if allowed:
        return candidate.remaining * holder.limit < holder.remaining * candidate.limit
    if candidate.allowed or holder.allowed:
        return holder.allowed and not candidate.allowed
    if holder.retry_after_ms is None or candidate.retry_after_ms is None:
        return candidate.retry_after_ms is None and holder.retry_after_ms is not None
    return candidate.retry_after_ms > holder.retry_after_ms


def _reason(verdicts: list[int], binding: int, *, allowed: bool) -> Reason:
    if not allowed:
        return _DENIAL_REASON[Verdict(verdicts[binding])]
    if _FALLBACK_OPEN in verdicts:
        return Reason.FALLBACK_OPEN
    return Reason.OK
