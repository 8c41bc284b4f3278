"""Paths, methods and limits of the door."""

from collections.abc import Callable
from typing import NamedTuple

from ratelimiter.door.exchange import Exchange
from ratelimiter.engine.wire.decode import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES

CHECK = b"/v1/check"
CHECK_ALIAS = b"/check"
BATCH = b"/v1/check/batch"
EXPLAIN = b"/v1/check/explain"
CHECKS = b"/v1/checks/"  # {id}/refund, {id}/release
AUTHZ = b"/v1/authz"
HEALTHZ = b"/healthz"
READYZ = b"/readyz"


class Route(NamedTuple):
    methods: tuple[bytes, ...]
    handle: Callable[[Exchange], None]


def path_of(target: bytes) -> bytes:
    """The path of a request target in origin form or absolute form, without the query."""
    if target[:1] != b"/":
        _, found, rest = target.partition(b"://")
        if found:
            _, slash, rest = rest.partition(b"/")
            target = slash + rest
    return target.partition(b"?")[0]


def body_limit(target: bytes) -> int:
    """In bytes."""
    return MAX_BATCH_BODY_BYTES if path_of(target) == BATCH else MAX_BODY_BYTES
