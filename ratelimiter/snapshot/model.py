"""What the control plane publishes for the data plane, and how it is encoded (MessagePack, field names kept).

A reader ignores fields it does not know and defaults those it lacks, so that doors and control plane can be of
neighbouring versions.
"""

from enum import StrEnum

import msgspec

from ratelimiter.engine.rules import Rule


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
    """All that a door knows about a tenant. Only enabled rules."""

    tenant: int
    revision: int
    rules: tuple[Rule, ...]
    suspended: bool = False


_encoder = msgspec.msgpack.Encoder()
_identity_decoder = msgspec.msgpack.Decoder(Identity)
_snapshot_decoder = msgspec.msgpack.Decoder(TenantSnapshot)


def identity_encode(identity: Identity) -> bytes:
    return _encoder.encode(identity)


def identity_decode(raw: bytes) -> Identity:
    return _identity_decoder.decode(raw)


def snapshot_encode(snapshot: TenantSnapshot) -> bytes:
    return _encoder.encode(snapshot)


def snapshot_decode(raw: bytes) -> TenantSnapshot:
    return _snapshot_decoder.decode(raw)
