"""The one place that spells Redis keys.

Counter identity: `ratelimit:{<tenant>}:<type>:<rule id>:<digest>`. The digest is 128 bits of BLAKE2b over
length-prefixed parts: key class (live or test), algorithm, window, and every dimension's name and value. Length
prefixes make it injective before hashing, so no value can imitate another one's key, and what a caller sends never
stands in the key itself, so it cannot steer the hash slot. Changing algorithm, window or dimensions starts a new
counter; changing the limit keeps it.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b

from ratelimiter.engine.rules import Rule

DIGEST_BYTES = 16

SNAPSHOT_EPOCH = "snapshot:epoch"  # string: names one life of the published data; a new one after a loss
SNAPSHOT_SEQUENCE = "snapshot:sequence"  # integer: the last entry of the change stream
SNAPSHOT_CHANGES = "snapshot:changes"  # stream of {epoch, seq, kind (tenant or key), tenant, digest}
SNAPSHOT_REVISIONS = "snapshot:revisions"  # hash: tenant -> "<revision>:<seq that announced it>"
KEYRING_COMPLETE = "keyring:complete"  # string, the epoch: every key is there, so an unknown one is unknown
KEYRING_DIGESTS = "keyring:digests"  # set: every digest that has an entry, so that the sweep finds surplus ones
DOORS = "doors"  # hash: door id -> heartbeat


def snapshot(tenant: int) -> str:
    return f"snapshot:{{{tenant}}}"


def keyring_entry(digest: str) -> str:
    return f"apikey:{digest}"


def live_counts(tenant: int, day: str) -> str:
    """Hash of today's counts per tenant; `day` is YYYY-MM-DD in UTC."""
    return f"live:{{{tenant}}}:{day}"


def key_last_used(tenant: int) -> str:
    """Hash: API key id -> Unix seconds of the last check made with it."""
    return f"keys:used:{{{tenant}}}"


def counter_prefix(tenant: int, rule: Rule) -> str:
    return f"ratelimit:{{{tenant}}}:{rule.type}:{rule.id}:"


def counter_digest(rule: Rule, values: Sequence[str], *, live: bool) -> str:
    """22 characters of URL-safe Base64; `values` in the order of `rule.key`."""
    parts = ["live" if live else "test", rule.algorithm, str(rule.window_ms)]
    for name, value in zip(rule.key, values, strict=True):
        parts += (name, value)
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(4))
        digest.update(raw)
    return urlsafe_b64encode(digest.digest())[:22].decode()
