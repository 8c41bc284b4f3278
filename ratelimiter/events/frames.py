"""Frames of the spool: length (4 bytes, big endian), CRC-32 of the payload (4 bytes), payload.

A crash may tear the last frame of a segment, never one before it.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from zlib import crc32

MAX_FRAME_BYTES = 64 * 1024 * 1024
READ_BYTES = 1024 * 1024

_HEAD = Struct(">II")


def frame_pack(payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), crc32(payload)) + payload


def frames_read(path: Path) -> Iterator[bytes]:
    """Payloads, until a whole, intact frame no longer follows. Raises OSError."""
    with path.open("rb") as file:
        offset = 0
        while found := frames_at(file.fileno(), offset, READ_BYTES):
            yield from (payload for _, payload in found)
            offset = found[-1][0]


def frames_at(descriptor: int, offset: int, max_bytes: int) -> list[tuple[int, bytes]]:
    """(offset after the frame, payload) of the whole, intact frames from `offset` on: about `max_bytes`, one at least.
    Raises OSError.
    """
    while True:
        data = os.pread(descriptor, max_bytes, offset)
        found = [(offset + end, payload) for end, payload in _frames_in(data)]
        if found or len(data) < max_bytes:
            return found
        max_bytes *= 4  # not even one frame fitted


def _frames_in(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, offset)
        end = offset + _HEAD.size + length
        if length > MAX_FRAME_BYTES or end > len(data):
            return
        payload = data[offset + _HEAD.size : end]
        if crc32(payload) != checksum:
            return
        offset = end
        yield offset, payload
