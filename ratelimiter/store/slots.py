"""Which of a cluster's 16,384 slots a key is in, and what a node says when it is asked about a slot of another's.

https://valkey.io/topics/cluster-spec: CRC16 (XMODEM) of the key, or of what stands between its first `{` and the next
`}` if that is anything.
"""

from binascii import crc_hqx
from collections.abc import Iterator
from typing import Any, NamedTuple

from ratelimiter.engine.prepare import Entry
from ratelimiter.engine.records import GiveBack
from ratelimiter.store.address import Node

SLOTS = 16_384


def key_slot(key: bytes) -> int:
    begin = key.find(b"{") + 1
    if begin:
        end = key.find(b"}", begin)
        if end > begin:
            key = key[begin:end]
    return crc_hqx(key, 0) & (SLOTS - 1)


def entry_key(entry: Entry) -> bytes:
    """One of the entry's keys. All of them share a hash tag, so any one says which slot it belongs to."""
    if entry.keys:
        return entry.keys[0]
    if isinstance(entry, GiveBack):
        return entry.record_key
    if entry.quota is not None:
        return entry.quota.key
    recording = entry.extras and entry.extras.recording
    return recording.check_key or recording.replay_key if recording else b""


class Redirection(NamedTuple):
    """`slot` is at `node` from now on, or, when `asking`, this once."""

    slot: int
    node: Node
    asking: bool


def redirection_parse(reply: str, asked: Node) -> Redirection | None:
    """From `MOVED 3999 host:port` or `ASK …`; None for other errors. An empty host is the one that was asked."""
    kind, _, rest = reply.partition(" ")
    if kind not in ("MOVED", "ASK"):
        return None
    slot, _, place = rest.partition(" ")
    host, _, port = place.rpartition(":")
    return Redirection(int(slot), Node(host or asked.host, int(port)), kind == "ASK")


def slots_parse(reply: Any, asked: Node) -> Iterator[tuple[int, int, Node]]:
    """First slot, last slot and master, from the answer to CLUSTER SLOTS. A node without a name is the one asked."""
    for first, last, (host, port, *_), *_ in reply:
        yield first, last, Node(asked.host if host in (None, b"", b"?") else host.decode(), port)
