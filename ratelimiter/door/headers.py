"""Which headers the door reads, and where each goes on the exchange."""

from ratelimiter.door.exchange import Exchange

# Spelled as clients usually do as well, so that most need no lowering.
FIELDS = {
    b"host": "host",
    b"authorization": "authorization",
    b"x-api-key": "api_key",
    b"x-request-id": "request_id",
    b"idempotency-key": "idempotency_key",
    b"content-length": "content_length",
    b"transfer-encoding": "transfer_encoding",
    b"expect": "expect",
}
FIELDS |= {name.title(): field for name, field in FIELDS.items()}
FIELDS |= {b"X-API-Key": "api_key"}
# What gateways say about the request that they ask for; see authz.
GATEWAY_HEADERS = frozenset({b"x-forwarded-for", b"x-forwarded-method", b"x-forwarded-uri", b"x-rl-user"})
UNREAD = frozenset({b"User-Agent", b"Accept", b"Accept-Encoding", b"Content-Type", b"Connection"})


def framing(exchange: Exchange, *, keep_alive: bool) -> bytes:
    """A head that makes a parser expect the body of the exchange, and says nothing else of it."""
    lines = [b"POST / HTTP/1.1"]
    if not keep_alive:
        lines.append(b"Connection: close")
    if exchange.transfer_encoding is not None:
        lines.append(b"Transfer-Encoding: " + exchange.transfer_encoding)
    else:
        lines.append(b"Content-Length: " + (exchange.content_length or b"0"))
    return b"\r\n".join(lines) + b"\r\n\r\n"
