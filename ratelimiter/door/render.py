"""Answers as bytes on the wire. What an answer says is decided in engine.wire; this is only how it is sent."""

import re
from email.utils import formatdate
from http import HTTPStatus

from ratelimiter.engine.wire.render import JSON, PROBLEM, Answer

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_CONTENT_TYPES = {kind: f"Content-Type: {kind}\r\n" for kind in (JSON, PROBLEM)}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class Renderer:
    """Knows the time of day, which changes once a second, so that nobody has to format it per answer."""

    def __init__(self, boot: str, now_s: float) -> None:
        self._prefix = f"req_{boot}"
        self._starts: dict[tuple[int, str], str] = {}
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        date = f"Date: {formatdate(now_s, usegmt=True)}\r\n"
        self._starts = {
            (status, kind): line + date + content_type
            for status, line in _STATUS_LINES.items()
            for kind, content_type in _CONTENT_TYPES.items()
        }

    def render(self, answer: Answer, request_id: bytes | None, number: int) -> bytes:
        """`number` names the request when the caller gave it no valid name."""
        if request_id is not None and _REQUEST_ID.fullmatch(request_id):
            name = request_id.decode()
        else:
            name = f"{self._prefix}{number:08x}"
        status, content_type, head, body = answer
        start = self._starts[status, content_type]
        return f"{start}{head}X-Request-Id: {name}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
