"""One check, one event. Written by the doors, decoded by analytics' ingest and by nobody else.

Encoded as MessagePack arrays: fields are told by their place, so new ones go to the end with a default, and nothing is
ever removed or reordered within a version. Identifiers (ip, route, user, attributes) are plain here; ingest stores
digests. A key's secret is never part of an event, only its id.
"""

import msgspec

from ratelimiter.engine.decision import Check, Decision

VERSION = 1

RuleOutcome = tuple[int, int]  # rule id; applied.PASSED, DENIED or SHADOW_DENIED


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`at_ms` is Unix ms by the store's clock, of the first time for a check that is on record. `latency_us` is the
    door's time from the request's last byte to the decision, in µs.
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
    results: list[RuleOutcome]
    recorded: bool = False  # may come again: ingest claims (tenant, id) before it counts one


class Group(msgspec.Struct, frozen=True, array_like=True):
    """Events of one partition in order; the first has number `first`, the next `first + 1`, and so on."""

    partition: int
    first: int
    events: list[Event]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[Group])


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
    return _decoder.decode(raw)
