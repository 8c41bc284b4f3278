"""One request and its answer, as the pieces of the door hand it to each other."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratelimiter.door.protocol import HttpConnection


class Exchange:
    """Header values are raw bytes, None where the header is absent. `answer` is the whole response once it is known.

    `gateway` holds the headers by which gateways describe a request, in small letters. `close` makes the answer the
    connection's last one. `started_ns` is when the request's last byte was read.
    """

    __slots__ = (
        "answer", "api_key", "authorization", "body", "close", "connection", "content_length",
        "expect", "gateway", "host", "idempotency_key", "method", "path", "request_id", "started_ns",
        "transfer_encoding",
    )  # fmt: skip

    def __init__(self, connection: "HttpConnection", path: bytes) -> None:
        self.connection = connection
        self.path = path
        self.method = b""
        self.host: bytes | None = None
        self.authorization: bytes | None = None
        self.api_key: bytes | None = None
        self.request_id: bytes | None = None
        self.idempotency_key: bytes | None = None
        self.content_length: bytes | None = None
        self.transfer_encoding: bytes | None = None
        self.expect: bytes | None = None
        self.gateway: dict[bytes, bytes] | None = None
        self.body: bytes | bytearray = b""
        self.close = False
        self.answer: bytes | None = None
        self.started_ns = 0
