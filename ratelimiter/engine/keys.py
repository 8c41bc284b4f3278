"""The one place that spells Redis keys.

What is published is written and read together, so all of it is in one hash slot. Counters and counts of a tenant are in
the tenant's own.

Counter identity: `ratelimit:{<tenant>}:<type>:<rule id>:<digest>`, with `{<tenant>.<shard>}` where a tenant is spread
over several slots. The digest is 128 bits of BLAKE2b over
length-prefixed parts: key class (live or test), algorithm, window, and every dimension's name and value. Length
prefixes make it injective before hashing, so no value can imitate another one's key, and what a caller sends never
stands in the key itself, so it cannot steer the hash slot. Changing algorithm, window or dimensions starts a new
counter; changing the limit keeps it.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from ratelimiter.engine.rules import Rule

DIGEST_BYTES = 16

SNAPSHOT_EPOCH = "{published}:snapshot:epoch"  # string: names one life of the published data; a new one after a loss
SNAPSHOT_SEQUENCE = "{published}:snapshot:sequence"  # integer: the last entry of the change stream
SNAPSHOT_CHANGES = "{published}:snapshot:changes"  # stream of {epoch, seq, kind (tenant or key), tenant, digest}
SNAPSHOT_REVISIONS = "{published}:snapshot:revisions"  # hash: tenant -> "<revision>:<seq that announced it>"
KEYRING_COMPLETE = "{published}:keyring:complete"  # string, the epoch: every key is there, so an unknown one is unknown
KEYRING_DIGESTS = (
    "{published}:keyring:digests"  # set: every digest that has an entry, so that the sweep finds surplus ones
)
DOORS = "{published}:doors"  # hash: door id -> heartbeat


def snapshot(tenant: int) -> str:
    return f"{{published}}:snapshot:{tenant}"


def keyring_entry(digest: str) -> str:
    return f"{{published}}:apikey:{digest}"


def live_counts(tenant: int, day: str) -> str:
    """Hash of today's counts per tenant; `day` is YYYY-MM-DD in UTC."""
    return f"live:{{{tenant}}}:{day}"


def key_last_used(tenant: int) -> str:
    """Hash: API key id -> Unix seconds of the last check made with it."""
    return f"keys:used:{{{tenant}}}"


def tenant_tag(tenant: int, shard: int = -1) -> str:
    """What decides the hash slot of everything that a check touches."""
    return f"{{{tenant}}}" if shard < 0 else f"{{{tenant}.{shard}}}"


def tenant_patterns(tenant: int) -> tuple[str, ...]:
    """For SCAN: every key that stands in the tenant's own slots."""
    return f"*{{{tenant}}}*", f"*{{{tenant}.*}}*"


def counter_prefix(tag: str, rule: Rule) -> str:
    """`rule.id` is 0 for a limit that came with the check, which is told by its name."""
    return f"ratelimit:{tag}:{rule.type}:{rule.id or f'inline.{rule.namespace}.{rule.name}'}:"


def counter_digest(rule: Rule, values: Sequence[str], *, live: bool, what: str = "") -> str:
    """22 characters of URL-safe Base64; `values` in the order of `rule.key`. `what` tells a rule's counters apart."""
    parts = ["live" if live else "test", what or rule.algorithm, str(rule.window_ms)]
    if rule.calendar is not None:
        parts += ("calendar", rule.calendar.unit, rule.calendar.zone, str(rule.calendar.anchor))
    for name, value in zip(rule.key, values, strict=True):
        parts += (name, value)
    return _digest([part.encode() for part in parts])


def quota(tag: str, period: str) -> str:
    """Integer: billable checks in the period."""
    return f"quota:{tag}:{period}"


def replay_record(tag: str, key: bytes, *, live: bool) -> str:
    """The answer to the check with this Idempotency-Key."""
    return f"replay:{tag}:{'live' if live else 'test'}:{_digest([key])}"


def check_record(tag: str, check_id: str, *, live: bool) -> str:
    """What the check charged, so that it can be given back."""
    return f"record:{tag}:{'live' if live else 'test'}:{check_id}"


def slot_nonce(check_id: str) -> str:
    """Eight characters that name a check's slots in a concurrency counter."""
    return _digest([check_id.encode()])[:8]


def fingerprint(body: bytes) -> str:
    return _digest([body])


def _digest(parts: Iterable[bytes]) -> str:
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(4))
        digest.update(part)
    return urlsafe_b64encode(digest.digest())[:22].decode()
