"""Digests of identifiers: what raw rows hold instead of the text.

64 bits of BLAKE2b, keyed by the house's salt, over tenant, kind and value. So the same user of two tenants has two
digests, and a user and an address of the same text have two. The dictionary keeps the text, unless the tenant has its
identifiers pseudonymised: then only routes keep theirs.
"""

from hashlib import blake2b

KEPT = 1 << 20  # digests remembered between batches
KEEP_S = 3_600.0  # then they are written again, so that what was erased and comes back is readable again

_Known = dict[tuple[int, str, str], str]


class Identifiers:
    """By (tenant, kind, value): `known` are those that the database has, `fresh` those of the batch under way that it
    may not have. Not for several threads.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self.known: _Known = {}
        self._since_s = 0.0
        self.fresh: _Known = {}

    def digest(self, tenant: int, kind: str, value: str) -> str:
        """In decimal, as COPY wants it."""
        name = (tenant, kind, value)
        held = self.known.get(name) or self.fresh.get(name)
        if held is None:
            held = self.fresh[name] = str(identifier_digest(self._salt, tenant, kind, value))
        return held

    def batch_begin(self, now_s: float) -> None:
        self.fresh = {}
        if now_s - self._since_s > KEEP_S or len(self.known) > KEPT:
            self.known = {}
            self._since_s = now_s

    def batch_committed(self) -> None:
        """Only now, because what a transaction that failed would have written is not there."""
        self.known.update(self.fresh)
        self.fresh = {}


def identifier_digest(salt: bytes, tenant: int, kind: str, value: str) -> int:
    """Never 0, which stands for nobody in particular."""
    text = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
    raw = blake2b(text, digest_size=8, key=salt, salt=tenant.to_bytes(16, "big", signed=True)).digest()
    return int.from_bytes(raw, "big", signed=True) or 1
