"""One check, one event. Written by the doors, carried by the shipper, decoded by analytics' ingest and by nobody else.

Encoded as MessagePack arrays: fields are told by their place, so new ones go to the end with a default, and nothing is
ever removed or reordered within a version. Identifiers (ip, route, user, attributes) are plain here; ingest stores
digests. A key's secret is never part of an event, only its id.
"""

import msgspec

from ratelimiter.engine.decision import Check, Decision
from ratelimiter.events.totals import Collapsed

VERSION = 1


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`at_ms` is Unix ms by the store's clock, of the first time for a check that is on record. `latency_us` is the
    door's time from the request's last byte to the decision, in µs. `results` are engine.applied.outcome_code's.
    """

    version: int
    id: str
    at_ms: int
    latency_us: int
    tenant: int
    key_id: int
    live: bool
    mode: str
    allowed: bool
    degraded: bool
    reason: str
    cost: int
    namespace: str
    ip: str | None
    route: str | None
    user: str | None
    attributes: dict[str, str]
    results: list[int]
    recorded: bool = False  # may come again: ingest claims (tenant, id) before it counts one


class Group(msgspec.Struct, frozen=True, array_like=True):
    """Events of one partition in order; the first has number `first`, the next `first + 1`, and so on.

    `heard_ms` is the door's clock, Unix ms, when it wrote a heartbeat: whatever it decides from then on comes later in
    this partition. 0 says nothing. `last`: the door stopped, and nothing more comes. `collapsed` stands for events that
    were too many to keep one by one; their numbers follow those of `events`.
    """

    partition: int
    first: int
    events: list[Event]
    heard_ms: int = 0
    last: bool = False
    collapsed: Collapsed | None = None

    @property
    def count(self) -> int:
        """How many numbers the group takes."""
        return len(self.events) + (self.collapsed.count if self.collapsed else 0)


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What the bus carries: consecutive groups of one partition from one door process, told by its boot id."""

    version: int
    boot: str
    groups: list[Group]


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A Group whose events nobody needs to look at: the shipper's view of the spool. Encodes as it was."""

    partition: int
    first: int
    events: list[msgspec.Raw]
    heard_ms: int = 0
    last: bool = False
    collapsed: msgspec.Raw = msgspec.Raw(b"\xc0")


class _SealedRecord(msgspec.Struct, frozen=True, array_like=True):
    version: int
    boot: str
    groups: list[Sealed]


_encode = msgspec.msgpack.Encoder().encode
_groups_decoder = msgspec.msgpack.Decoder(list[Group])
_sealed_decoder = msgspec.msgpack.Decoder(list[Sealed])
_record_decoder = msgspec.msgpack.Decoder(Record)


def event_from(check: Check, decision: Decision, latency_us: int, tenant: int, key_id: int, *, live: bool) -> Event:
    results = [
        applied.outcomes[not result.allowed] for applied, result in zip(decision.applied, decision.results, strict=True)
    ]
    return Event(
        VERSION, decision.check_id, decision.at_ms, latency_us, tenant, key_id, live, check.mode,
        decision.allowed, decision.degraded, decision.reason, check.cost, check.namespace, check.ip, check.route,
        check.user, check.attributes, results, decision.recorded,
    )  # fmt: skip


def groups_encode(groups: list[Group]) -> bytes:
    return _encode(groups)


def groups_decode(raw: bytes) -> list[Group]:
    """Raises msgspec.MsgspecError when it is no batch of events."""
    return _groups_decoder.decode(raw)


def groups_decode_sealed(raw: bytes) -> list[Sealed]:
    """Raises msgspec.MsgspecError when it is no batch of events."""
    return _sealed_decoder.decode(raw)


def record_encode(boot: str, groups: list[Sealed]) -> bytes:
    return _encode(_SealedRecord(VERSION, boot, groups))


def record_decode(raw: bytes) -> Record:
    """Raises msgspec.MsgspecError when it is no record."""
    return _record_decoder.decode(raw)
