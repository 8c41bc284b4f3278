"""Writing for the doors. One script per publication: blob, revision and change entry appear together or not at all.

Every publication takes the next number of the change stream within the current epoch. When Redis has lost its data
there is no epoch; the next publication starts a new one, and doors that see it drop what they cached.
`keyring:complete` is set by the sweep only, after it has written every key of that epoch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from secrets import token_hex
from typing import cast

import msgspec
from redis import Redis

from ratelimiter.engine import keys
from ratelimiter.snapshot.model import (
    Identity,
    TenantSnapshot,
    identity_decode,
    identity_encode,
    snapshot_encode,
)

MAX_CHANGES = 100_000  # entries kept in the stream; a door that is further behind starts afresh

# KEYS epoch, sequence, changes, revisions, blob, digests; ARGV new epoch, stream length, kind, tenant, digest, blob,
# revision ('' keeps the field out). RETURN the entry's sequence, or -1 when Redis holds a newer revision.
_PUBLISH = """
local kind, tenant, digest, blob, revision = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if kind == 'tenant' then
  local held = redis.call('HGET', KEYS[4], tenant)
  if held and tonumber(string.match(held, '^%d+')) > tonumber(revision) then return -1 end
end
redis.call('SET', KEYS[1], ARGV[1], 'NX')
local epoch = redis.call('GET', KEYS[1])
local seq = redis.call('INCR', KEYS[2])
if blob == '' then redis.call('DEL', KEYS[5]) else redis.call('SET', KEYS[5], blob) end
if kind == 'key' then redis.call(blob == '' and 'SREM' or 'SADD', KEYS[6], digest) end
if kind == 'tenant' then redis.call('HSET', KEYS[4], tenant, revision .. ':' .. seq) end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*',
  'epoch', epoch, 'seq', seq, 'kind', kind, 'tenant', tenant, 'digest', digest)
return seq
"""


class Publisher:
    """Used by the control plane, through a plain sync client of the counters' Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def snapshot_publish(self, snapshot: TenantSnapshot) -> int:
        """Returns the entry's sequence; -1 when a newer revision was there already (it stays)."""
        blob = snapshot_encode(snapshot)
        return self._publish("tenant", snapshot.tenant, "", blob, keys.snapshot(snapshot.tenant), snapshot.revision)

    def key_publish(self, digest: str, identity: Identity | None, *, tenant: int) -> int:
        """None withdraws the key: doors refuse it as soon as they have read the entry."""
        blob = b"" if identity is None else identity_encode(identity)
        return self._publish("key", tenant, digest, blob, keys.keyring_entry(digest), 0)

    def revisions_held(self) -> dict[int, int]:
        """Tenant -> revision, as Redis really holds them; a tenant whose blob is missing is left out."""
        raw = cast("dict[bytes, bytes]", self._redis.hgetall(keys.SNAPSHOT_REVISIONS))
        tenants = [int(tenant) for tenant in raw]
        present = self._exist([keys.snapshot(tenant) for tenant in tenants])
        return {
            tenant: int(raw[str(tenant).encode()].split(b":")[0])
            for tenant, is_there in zip(tenants, present, strict=True)
            if is_there
        }

    def digests_held(self) -> Iterator[dict[str, int]]:
        """Pages of every digest that has an entry, with its tenant."""
        cursor = 0
        while True:
            cursor, raw = cast("tuple[int, list[bytes]]", self._redis.sscan(keys.KEYRING_DIGESTS, cursor, count=1_000))
            digests = [digest.decode() for digest in raw]
            names = [keys.keyring_entry(digest) for digest in digests]
            blobs = cast("list[bytes | None]", self._redis.mget(names)) if names else []
            yield {digest: _tenant_of(blob) for digest, blob in zip(digests, blobs, strict=True) if blob}
            if not cursor:
                return

    def keys_differing(self, expected: Mapping[str, Identity | None]) -> list[str]:
        """The digests whose entry in Redis is not what it should be."""
        digests = list(expected)
        held = self._redis.mget([keys.keyring_entry(digest) for digest in digests]) if digests else []
        return [
            digest
            for digest, blob in zip(digests, held, strict=True)
            if blob != (None if (identity := expected[digest]) is None else identity_encode(identity))
        ]

    def epoch(self) -> str | None:
        raw = cast("bytes | None", self._redis.get(keys.SNAPSHOT_EPOCH))
        return raw.decode() if raw else None

    def keyring_is_complete(self) -> bool:
        marker, epoch = self._redis.mget(keys.KEYRING_COMPLETE, keys.SNAPSHOT_EPOCH)
        return marker is not None and marker == epoch

    def keyring_mark_complete(self, epoch: str) -> bool:
        """To be called with the epoch read before the first key was written; False when it has changed since."""
        mark = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end redis.call('SET', KEYS[2], ARGV[1]) return 1"
        return bool(self._redis.eval(mark, 2, keys.SNAPSHOT_EPOCH, keys.KEYRING_COMPLETE, epoch))

    def epoch_ensure(self) -> str:
        self._redis.set(keys.SNAPSHOT_EPOCH, token_hex(8), nx=True)
        epoch = self.epoch()
        if epoch is None:
            raise RuntimeError("the counters' Redis lost the epoch while it was being written")
        return epoch

    def snapshot_withdraw(self, tenant: int) -> None:
        self._redis.hdel(keys.SNAPSHOT_REVISIONS, str(tenant))
        self._redis.delete(keys.snapshot(tenant))

    def _exist(self, names: Sequence[str]) -> Iterable[bool]:
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.exists(name)
        return (bool(found) for found in pipeline.execute())

    def _publish(self, kind: str, tenant: int, digest: str, blob: bytes, blob_key: str, revision: int) -> int:
        touched = [
            keys.SNAPSHOT_EPOCH, keys.SNAPSHOT_SEQUENCE, keys.SNAPSHOT_CHANGES, keys.SNAPSHOT_REVISIONS, blob_key,
            keys.KEYRING_DIGESTS,
        ]  # fmt: skip
        values = (token_hex(8), MAX_CHANGES, kind, tenant, digest, blob, revision)
        return int(cast("int", self._redis.eval(_PUBLISH, len(touched), *touched, *values)))


def _tenant_of(blob: bytes) -> int:
    """0 for an entry that cannot be understood; it is to be replaced or withdrawn like any other wrong one."""
    try:
        return identity_decode(blob).tenant
    except msgspec.MsgspecError:
        return 0
