"""Request heads that were seen before.

A client with a keep-alive connection sends the same head again and again. What httptools and our own rules made of
these bytes once, they would make of them every time: so a read that is exactly a known head and the body whose length
that head announces needs no second parse. Anything else goes through the parser.
"""

from typing import TYPE_CHECKING, NamedTuple

from ratelimiter.door.exchange import Exchange

if TYPE_CHECKING:
    from ratelimiter.door.protocol import HttpConnection

MAX_HEADS = 4_096
MAX_HEAD_BYTES = 1_024

_END = b"\r\n\r\n"


class Head(NamedTuple):
    method: bytes
    path: bytes
    authorization: bytes | None
    api_key: bytes | None
    length: int


class Heads:
    """One per process. A head that names its request or asks for special treatment is never kept."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def recognise(self, data: bytes, connection: "HttpConnection") -> Exchange | None:
        """The whole request that `data` is, if it is one with a known head. Only for the first bytes of a request."""
        end = data.find(_END) + 4
        head = self._known.get(data[:end])
        if head is None or len(data) - end != head.length:
            return None
        exchange = Exchange(connection, head.path)
        exchange.method = head.method
        exchange.authorization = head.authorization
        exchange.api_key = head.api_key
        exchange.body = data[end:]
        return exchange

    def learn(self, data: bytes, exchange: Exchange) -> None:
        """`data` was parsed from a clean start, without error, into this one request and nothing else."""
        end = data.find(_END) + 4
        if (
            not data[:1].isalpha()  # blank lines before a request are skipped: the first head's end is not this one's
            or end > MAX_HEAD_BYTES
            or exchange.close
            or exchange.content_length is None
            or exchange.transfer_encoding is not None
            or exchange.request_id is not None
            or exchange.idempotency_key is not None
            or exchange.expect is not None
            or exchange.gateway is not None
        ):
            return
        if len(self._known) >= MAX_HEADS:
            self._known.clear()
        length = int(exchange.content_length)
        self._known[data[:end]] = Head(exchange.method, exchange.path, exchange.authorization, exchange.api_key, length)
