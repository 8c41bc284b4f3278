"""What the control plane publishes for the data plane, and how it is encoded (MessagePack, field names kept).

A reader ignores fields it does not know and defaults those it lacks, so that doors and control plane can be of
neighbouring versions.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial

import msgspec

from ratelimiter.engine.matching import RuleSet, Sharding
from ratelimiter.engine.quota import Quota
from ratelimiter.engine.rules import Override, Rule


class Scope(StrEnum):
    CHECK = "check"
    REFUND = "refund"
    READ = "read"
    ADMIN = "admin"


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an API key stands for. expires_at_ms is Unix ms, 0 = never."""

    tenant: int
    key_id: int
    live: bool
    scopes: tuple[str, ...]
    expires_at_ms: int = 0


class TenantSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a door knows about a tenant. Only enabled rules.

    `namespaces` are those that have a rule, enabled or not. `overrides` by rule id, each encoded by `overrides_encode`
    and decoded when the rule is first met. `inline_types` are the types of limits that a check may bring along.
    """

    tenant: int
    revision: int
    rules: tuple[Rule, ...]
    suspended: bool = False
    namespaces: tuple[str, ...] = ()
    overrides: dict[int, bytes] = {}
    sharding: Sharding | None = None
    quota: Quota | None = None
    inline_types: tuple[str, ...] = ()

    def rule_set(self) -> RuleSet:
        """Raises ValueError for conditions that cannot be understood."""
        return RuleSet(
            self.tenant,
            self.rules,
            overrides={rule: partial(_overrides_decoder.decode, raw) for rule, raw in self.overrides.items()},
            namespaces=self.namespaces,
            sharding=self.sharding,
            quota=self.quota,
            inline_types=self.inline_types,
        )


_encoder = msgspec.msgpack.Encoder()
_identity_decoder = msgspec.msgpack.Decoder(Identity)
_overrides_decoder = msgspec.msgpack.Decoder(tuple[Override, ...])
_snapshot_decoder = msgspec.msgpack.Decoder(TenantSnapshot)


def identity_encode(identity: Identity) -> bytes:
    return _encoder.encode(identity)


def identity_decode(raw: bytes) -> Identity:
    return _identity_decoder.decode(raw)


def overrides_encode(overrides: Sequence[Override]) -> bytes:
    return _encoder.encode(overrides)


def snapshot_encode(snapshot: TenantSnapshot) -> bytes:
    return _encoder.encode(snapshot)


def snapshot_decode(raw: bytes) -> TenantSnapshot:
    return _snapshot_decoder.decode(raw)
