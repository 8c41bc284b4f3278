"""From a check to what the script needs, without I/O; `interpret` makes a decision of its reply.

Between the two stands one call to a store, sync or async; that call is all in which the doors differ.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ratelimiter.engine import keys
from ratelimiter.engine.applied import Applied, Standing
from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import CallLate, StoreFailed
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.quota import QuotaKey
from ratelimiter.engine.records import REPLAY_LIFE_MS, GiveBack, Idempotency, Recording, recording_of
from ratelimiter.engine.rules import RuleMode

MODES = {"consume": 0, "peek": 1, "report": 2}
# Parts of a check, as lua/check.lua adds them to the mode.
_QUOTA, _REPLAY, _RECORD, _PENALTY, _LEASE = 4, 8, 16, 32, 64
VALUES_PER_EVALUATION = 4

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Any])


class Extras(msgspec.Struct, frozen=True):
    """What only some checks have. `applied` are all rules of the answer, in its order, when some ask no counter."""

    applied: Sequence[Applied] = ()
    recording: Recording | None = None
    has_penalty: bool = False
    shard: int = -1
    lease: int = 0


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """One check, ready for a store. `weight` is what it costs, in evaluations."""

    tenant: int
    check: Check
    rules: Sequence[Applied]
    truncated: bool
    check_id: str
    weight: int
    quota: QuotaKey | None = None
    extras: Extras | None = None

    @property
    def keys(self) -> list[bytes]:
        """Whatever it may touch; all of it lies in one slot."""
        found = [rule.key for rule in self.rules]
        if self.quota is not None:
            found.append(self.quota.key)
        recording = self.extras and self.extras.recording
        if recording:
            found.append(recording.replay_key or recording.check_key)
        return found

    @property
    def needs_store(self) -> bool:
        return (
            bool(self.rules)
            or self.quota is not None
            or (self.extras is not None and self.extras.recording is not None)
        )


Entry = Prepared | GiveBack


class Call(msgspec.Struct, frozen=True):
    """One script call. `offsets[i]` is where the part of the i-th entry begins in the reply."""

    keys: list[bytes]
    argument: bytes
    offsets: list[int]


def prepare(
    rule_set: RuleSet,
    check: Check,
    *,
    live: bool,
    now_ms: int,
    check_id: str,
    idempotency: Idempotency | None = None,
) -> Prepared:
    """`now_ms` in the store's time. Raises NotFound (namespace) and InvalidRequest (rule names, inline limits)."""
    applied, truncated, shard = rule_set.select(check, live=live, now_ms=now_ms)
    if shard >= 0:
        check_id = f"{check_id}.{shard}"  # so that its record is found again
    rules, is_blocked = applied, False
    if rule_set.has_exceptions:
        applied, rules = _split(applied)
        is_blocked = not rules and any(map(_refuses, applied))
    is_peek = check.mode == "peek"
    recording = None
    if not is_peek and (idempotency is not None or check.refundable or rule_set.holds_slots or check.limits):
        recording = recording_of(
            applied, tag=keys.tenant_tag(rule_set.tenant, shard), live=live, check_id=check_id, truncated=truncated,
            shard=shard, refundable=check.refundable, idempotency=idempotency,
        )  # fmt: skip
    quota = None
    if live and not is_peek and rule_set.quota is not None and not is_blocked:
        quota = rule_set.quota_key(shard, now_ms)
    extras = None
    if recording is not None or shard >= 0 or rules is not applied or rule_set.has_penalties:
        has_penalty = any(rule.penalty_key for rule in rules)
        extras = Extras(() if rules is applied else applied, recording, has_penalty, shard)
    weight = len(rules) if rule_set.is_light and not check.limits else sum([rule.weight for rule in rules])
    return Prepared(rule_set.tenant, check, rules, truncated, check_id, weight, quota, extras)


def encode(batch: Sequence[Entry], *, not_after_ms: int = 0, at_ms: int = 0) -> Call:
    """Both in the store's time: `not_after_ms` 0 sets no bound, `at_ms` is about now and picks calendar cells."""
    index_of: dict[bytes, int] = {}
    numbers: list[Any] = [not_after_ms]
    offsets = []
    offset = 1
    for entry in batch:
        offsets.append(offset)
        if isinstance(entry, GiveBack):
            offset += entry.append_to(numbers, index_of)
            continue
        check, rules = entry.check, entry.rules
        count = len(rules)
        if entry.extras is not None:
            count += _head_append(entry, entry.extras, numbers, index_of)
        elif entry.quota is not None:
            quota = entry.quota
            at = index_of.setdefault(quota.key, len(index_of) + 1)
            numbers += (MODES[check.mode] + _QUOTA, check.cost, count, at, quota.cap)
        else:
            numbers += (MODES[check.mode], check.cost, count)
        offset += 1 + VALUES_PER_EVALUATION * count
        for rule in rules:
            if rule.penalty_key:
                numbers.append(index_of.setdefault(rule.penalty_key, len(index_of) + 1))
                numbers += rule.penalty_numbers
            numbers.append(index_of.setdefault(rule.key, len(index_of) + 1))
            numbers += rule.numbers or rule.numbers_for(at_ms, keys.slot_nonce(entry.check_id))
    return Call(list(index_of), _encoder.encode(numbers), offsets)


def reply_decode(raw: bytes) -> list[Any]:
    """The reply, the store's time first. Raises CallLate when nothing was counted, StoreFailed when it is nonsense."""
    try:
        numbers = _decoder.decode(raw)
    except (msgspec.MsgspecError, TypeError) as error:
        raise StoreFailed(f"the store's reply cannot be read: {error}") from None
    if len(numbers) == 1:
        raise CallLate(numbers[0])
    return numbers


def _split(applied: list[Applied]) -> tuple[list[Applied], list[Applied]]:
    """The rules of the answer and those whose counters are asked, one list when that is the same.

    Where a rule refuses whatever the counters say, they are not asked, and the answer names only those that refuse.
    """
    refusing = [one for one in applied if _refuses(one)]
    if refusing:
        return refusing, []
    counting = [one for one in applied if one.standing is Standing.COUNTS]
    return applied, applied if len(counting) == len(applied) else counting


def _refuses(applied: Applied) -> bool:
    return applied.standing is Standing.BLOCKED and applied.rule.mode is RuleMode.ENFORCE


def _head_append(entry: Prepared, extras: Extras, numbers: list[Any], index_of: dict[bytes, int]) -> int:
    """The head of a check that has extras, and its parts. Returns how many evaluations are penalties."""
    check, quota, recording = entry.check, entry.quota, extras.recording
    penalties = sum([rule.penalty_key != b"" for rule in entry.rules]) if extras.has_penalty else 0
    head = MODES[check.mode]
    parts: list[Any] = []
    if quota is not None:
        head += _QUOTA
        parts += (index_of.setdefault(quota.key, len(index_of) + 1), quota.cap)
    if recording is not None:
        if recording.replay_key:
            head += _REPLAY
            at = index_of.setdefault(recording.replay_key, len(index_of) + 1)
            parts += (at, recording.fingerprint, REPLAY_LIFE_MS)
        if recording.check_key:
            head += _RECORD
            parts += (index_of.setdefault(recording.check_key, len(index_of) + 1), recording.life_ms)
        parts.append(recording.context)
    if penalties:
        head += _PENALTY
    if extras.lease:
        head += _LEASE
        parts.append(extras.lease)
    numbers += (head, check.cost, len(entry.rules) + penalties)
    numbers += parts
    return penalties
