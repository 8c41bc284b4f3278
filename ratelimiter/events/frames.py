"""Frames of the spool: length (4 bytes, big endian), CRC-32 of the payload (4 bytes), payload.

A crash may tear the last frame of a segment, never one before it.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from zlib import crc32

MAX_FRAME_BYTES = 64 * 1024 * 1024

_HEAD = Struct(">II")


def frame_pack(payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), crc32(payload)) + payload


def frames_read(path: Path, *, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """(offset after the frame, payload) from `offset` on; ends quietly where a whole, intact frame no longer follows.

    Raises OSError.
    """
    with path.open("rb") as file:
        file.seek(offset)
        while True:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return
            length, checksum = _HEAD.unpack(head)
            if length > MAX_FRAME_BYTES:
                return
            payload = file.read(length)
            if len(payload) < length or crc32(payload) != checksum:
                return
            offset += _HEAD.size + length
            yield offset, payload


def frames_in(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset after the frame, payload) of the whole, intact frames that `data` begins with."""
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
