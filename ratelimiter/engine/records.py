"""Checks that are kept: to replay the answer to a repeated Idempotency-Key, and to give back what was charged.

Records are written by the script that decides, so a check and its record exist together or not at all. A record of the
first kind holds what the answer is made from, so a replay is the same answer, byte for byte, whatever has become of the
rules since. One of the second kind holds what was charged where. Neither outlives MAX_LIFE_MS.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ratelimiter.engine import keys
from ratelimiter.engine.applied import Applied, Standing
from ratelimiter.engine.errors import InvalidRequest, NotFound
from ratelimiter.engine.rules import Algorithm, Calendar, Rule, RuleMode, RuleType

MAX_LIFE_MS = 86_400_000
REPLAY_LIFE_MS = 86_400_000
REFUND, RELEASE = 1, 2  # also their places in a record
_MARKS_AT = 5  # in a record: refunded, released, at, cost, context, marks…

_NO_RECORD = "there is no such check on record: only some are, and none for longer than its windows or a day"


class Idempotency(msgspec.Struct, frozen=True):
    """What a repeated request is known by: the caller's key, and the digest of what it asked."""

    key: bytes
    fingerprint: str


class Charge(msgspec.Struct, frozen=True, array_like=True):
    """One counter of a recorded check, in the order of the script's evaluations."""

    key: str
    algorithm: int
    p1: int
    is_slot: bool
    is_penalty: bool


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """As much of a rule as its part of an answer needs."""

    id: int
    name: str
    mode: RuleMode
    limit: int
    window_ms: int
    calendar: Calendar | None
    has_penalty: bool
    standing: Standing


class Context(msgspec.Struct, frozen=True, array_like=True):
    """What the script keeps beside its own numbers. `rules` has every rule of the answer, in its order."""

    check_id: str
    truncated: bool
    shard: int
    rules: tuple[Remembered, ...]
    charges: tuple[Charge, ...]


class Recording(msgspec.Struct, frozen=True):
    """Where a check is recorded; an empty key stands for not at all."""

    replay_key: bytes
    fingerprint: str
    check_key: bytes
    life_ms: int
    context: str


class GiveBack(msgspec.Struct, frozen=True):
    """A request to give back, ready for a store like a check. `record_key` b"" gives back without asking a record."""

    tenant: int
    record_key: bytes
    what: int
    amount: int
    charges: tuple[tuple[bytes, int, Any, int], ...]  # key, algorithm, mark, p1

    @property
    def keys(self) -> list[bytes]:
        return [charge[0] for charge in self.charges]

    @property
    def weight(self) -> int:
        return len(self.charges)

    @property
    def needs_store(self) -> bool:
        return True

    def append_to(self, numbers: list[Any], index_of: dict[bytes, int]) -> int:
        """Returns the length of its part of the reply."""
        record = index_of.setdefault(self.record_key, len(index_of) + 1) if self.record_key else 0
        numbers += (_GIVE_BACK_HEAD, self.amount, len(self.charges), record, self.what)
        for key, algorithm, mark, p1 in self.charges:
            numbers += (index_of.setdefault(key, len(index_of) + 1), algorithm, mark, 0, p1, 0)
        return 1 + 4 * len(self.charges)


_CHECK_ID = re.compile(r"chk_[0-9a-f]{8,64}(?:\.(?P<shard>[0-9]{1,4}))?")
_GIVE_BACK_HEAD = 3 + 4 * 32
_encode = msgspec.json.Encoder().encode
_context_decoder = msgspec.json.Decoder(Context)
_record_decoder = msgspec.msgpack.Decoder(list[Any])


def recording_of(
    applied: Sequence[Applied],
    *,
    tag: str,
    live: bool,
    check_id: str,
    truncated: bool,
    shard: int,
    refundable: bool,
    idempotency: Idempotency | None,
) -> Recording | None:
    """None for a check that nothing asks to be recorded."""
    counting = [one for one in applied if one.standing is Standing.COUNTS]
    holds_slots = any(one.rule.algorithm is Algorithm.CONCURRENCY for one in counting)
    gives_back = bool(counting) and (refundable or holds_slots or idempotency is not None)
    if not gives_back and idempotency is None:
        return None
    context = Context(
        check_id, truncated, shard, tuple(map(_remember, applied)), tuple(_charges(counting)) if gives_back else ()
    )
    return Recording(
        keys.replay_record(tag, idempotency.key, live=live).encode() if idempotency else b"",
        idempotency.fingerprint if idempotency else "",
        keys.check_record(tag, check_id, live=live).encode() if gives_back else b"",
        min(MAX_LIFE_MS, max([one.rule.window_ms for one in counting], default=MAX_LIFE_MS)),
        _encode(context).decode(),
    )


def context_decode(text: str) -> tuple[Context, list[Applied]]:
    """The context, and its rules as they were applied."""
    context = _context_decoder.decode(text)
    return context, [_recall(held) for held in context.rules]


def check_record_key(tenant: int, check_id: str, *, live: bool) -> bytes:
    """Where a check would be on record. Raises NotFound for what cannot be the id of one."""
    found = _CHECK_ID.fullmatch(check_id)
    if found is None:
        raise NotFound(_NO_RECORD)
    tag = keys.tenant_tag(tenant, -1 if found["shard"] is None else int(found["shard"]))
    return keys.check_record(tag, check_id, live=live).encode()


def give_back_from(tenant: int, record_key: bytes, raw: bytes | None, what: int, amount: int | None) -> GiveBack:
    """`raw` is the record as the store has it, `amount` None is all of it.

    Raises NotFound, also for a release of a check that took no slot; InvalidRequest when the check took less.
    """
    if raw is None:
        raise NotFound(_NO_RECORD)
    record = _record_decoder.decode(raw)
    cost: int = record[3]
    if amount is not None and amount > cost:
        message = f"the check took {cost}, so at most that can be given back"
        raise InvalidRequest(f"/amount: {message}", ("/amount", message))
    charged = zip(_context_decoder.decode(record[4]).charges, record[_MARKS_AT:], strict=True)
    charges = tuple(
        (charge.key.encode(), charge.algorithm, mark, charge.p1)
        for charge, mark in charged
        if mark is not False and charge.is_slot is (what == RELEASE)
    )
    if not charges:
        raise NotFound("this check holds no slot" if what == RELEASE else "this check charged nothing to give back")
    return GiveBack(tenant, record_key, what, cost if amount is None else amount, charges)


def _charges(applied: Sequence[Applied]) -> list[Charge]:
    charges = []
    for one in applied:
        if one.penalty_key:
            charges.append(Charge("", 0, 0, is_slot=False, is_penalty=True))
        is_slot = one.rule.algorithm is Algorithm.CONCURRENCY
        charges.append(Charge(one.key.decode(), one.code, one.rule.window_ms, is_slot=is_slot, is_penalty=False))
    return charges


def _remember(applied: Applied) -> Remembered:
    rule = applied.rule
    return Remembered(
        rule.id, rule.name, rule.mode, applied.limit, rule.window_ms, rule.calendar, applied.penalty_key != b"",
        applied.standing,
    )  # fmt: skip


def _recall(held: Remembered) -> Applied:
    rule = Rule(
        id=held.id, name=held.name, type=RuleType.GLOBAL, limit=held.limit, window_ms=held.window_ms, mode=held.mode,
        calendar=held.calendar,
    )  # fmt: skip
    penalty_key = b"-" if held.has_penalty else b""
    return Applied(rule, b"", limit=held.limit, burst=0, penalty_key=penalty_key, standing=held.standing)
