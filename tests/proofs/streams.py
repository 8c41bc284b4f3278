"""Streams of HTTP requests: well-formed ones, and the same with something broken, from a seeded generator."""

import random

METHODS = [b"POST"] * 6 + [b"GET", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"CONNECT"]
TARGETS = [
    b"/v1/check", b"/v1/check", b"/check", b"/v1/check/batch", b"/healthz", b"/v1/check?a=b", b"/nope", b"*",
    b"/v1/authz", b"/v1/checks/chk_1/refund", b"http://other/v1/check", b"/v1/check#x", b"/%2f%00",
]  # fmt: skip
VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0", b"HTTP/2.0"]
FIELDS = [
    b"Authorization: Bearer rl_live_one", b"Authorization: Bearer rl_live_two", b"authorization: bearer x",
    b"X-API-Key: rl_test_three", b"x-api-key:rl_test_four", b"X-Request-Id: abc", b"X-Request-Id: ",
    b"Idempotency-Key: order-1", b"User-Agent: fuzz/1.0", b"Accept: */*", b"Content-Type: application/json",
    b"X-A: \xff\xfe", b"X-B:\tb\t", b"Cookie: a=b; c=d", b"X-Forwarded-For: 203.0.113.7", b"x-forwarded-for: 10.0.0.1",
    b"X-Forwarded-Uri: /a?b", b"X-RL-User: one", b"x-rl-user: two",
]  # fmt: skip
SPECIAL = [
    b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: h2c", b"Expect: 100-continue",
    b"Connection: upgrade\r\nUpgrade: websocket", b"Host: other", b"Content-Length: 0", b"Content-Length: 5",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked",
    b"Content-Length: 5, 5", b"Content-Length: +5", b"Trailer: X", b"Transfer-Encoding : chunked", b"TE: trailers",
    b" folded", b"X-Request-Id: again", b"Content-Length:  5 ", b"Content-Length:", b"Proxy-Connection: close",
]  # fmt: skip
BODIES = [
    b"", b"{}", b'{"user": "u"}', b'{"user": "u", "cost": 3}', b"\r\n\r\n", b"a\r\n\r\nb", b"0\r\n\r\n",
    b"\x00\xff" * 9,
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /v1/check HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
]  # fmt: skip
SIZES = [b"0", b"1", b"2", b"0000", b"ffffffffffffffff", b"10000000000000000", b"0x2", b"-1", b"+1", b" 2", b"2 ", b""]
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"\r\r\n", b"\x00", b" ", b"\t", b":", b";", b",", b"0", b"9", b"a",
    b"\xff",
    b"\x7f", b"HTTP/1.1", b"Host: door\r\n", b"0\r\n\r\n", b"\r\n ", b"chunked", b"Content-Length: 1\r\n",
]  # fmt: skip


def request(chance: random.Random) -> bytes:
    """Mostly well-formed."""
    fields = [b"Host: door"] if chance.random() < 0.98 else []
    fields += chance.choices(FIELDS, k=chance.randrange(4))
    if chance.random() < 0.15:
        fields.append(chance.choice(SPECIAL))
    body = chance.choice(BODIES)
    if chance.random() < 0.2:
        fields.append(b"Transfer-Encoding: chunked")
        body = chunked(chance, body)
    elif body or chance.random() < 0.5:
        fields.append(b"Content-Length: %d" % len(body))
    if chance.random() < 0.3:
        chance.shuffle(fields)
    line = b"%b %b %b" % (chance.choice(METHODS), chance.choice(TARGETS), chance.choice(VERSIONS))
    return b"\r\n".join([line, *fields, b"", body])


def plain(chance: random.Random) -> bytes:
    """What a client sends again and again."""
    body = chance.choice(BODIES)
    fields = chance.sample(FIELDS[:5] + FIELDS[8:11] + FIELDS[14:15], 2)
    return b"\r\n".join(
        [b"POST /v1/check HTTP/1.1", b"Host: door", *fields, b"Content-Length: %d" % len(body), b"", body]
    )


def chunked(chance: random.Random, body: bytes) -> bytes:
    pieces = []
    while body:
        length = chance.randint(1, len(body))
        extension = chance.choice([b"", b"", b"", b";a", b";a=b", b';a="b"', b" ;a"])
        size = b"%x" % length if chance.random() < 0.97 else chance.choice(SIZES)
        pieces.append(b"%b%b\r\n%b\r\n" % (size, extension, body[:length]))
        body = body[length:]
    trailer = chance.choice(
        [b"", b"", b"", b"X-T: 1\r\n", b"Content-Length: 9\r\n", b"Host: x\r\n", b"Expect: 100-continue\r\n"]
    )
    return b"".join(pieces) + b"0\r\n" + trailer + b"\r\n"


def mutated(chance: random.Random, data: bytes) -> bytes:
    """One thing broken: a byte flipped, or a piece deleted, doubled, replaced, moved, put in, or cut off."""
    if chance.random() < 0.15:
        return _lines_disturbed(chance, data)
    at = chance.randrange(len(data) + 1)
    to = min(len(data), at + chance.choice([1, 1, 2, 4, 16, 64]))
    elsewhere = chance.randrange(len(data) + 1)
    token = chance.choice(TOKENS)
    return chance.choice(
        [
            data[:at] + bytes(byte ^ (1 << chance.randrange(8)) for byte in data[at : at + 1]) + data[at + 1 :],
            data[:at] + data[to:],
            data[:to] + data[at:],
            data[:at] + token + data[to:],
            data[:at] + token + data[at:],
            data[:elsewhere] + data[at:to] + data[elsewhere:],
            data[:at],
        ]
    )


def _lines_disturbed(chance: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            lines.insert(one, lines[other])
        case 2:
            lines.insert(one, chance.choice(SPECIAL))
        case _:
            return chance.choice([b"\n", b"\r", b"\r\r\n"]).join([b"\r\n".join(lines[:one]), b"\r\n".join(lines[one:])])
    return b"\r\n".join(lines)


def requests(chance: random.Random) -> list[bytes]:
    """One to six requests of one connection; two of three streams have something broken in them."""
    make = plain if chance.random() < 0.4 else request
    found = [make(chance) for _ in range(chance.choice([1, 1, 2, 3, 4, 6]))]
    if chance.random() < 0.1:
        position = chance.randrange(len(found))
        found[position] = b"\r\n\r\n" + chance.choice([found[position], chance.choice(BODIES)])
    for _ in range(chance.choice([0, 1, 1, 1, 2, 4]) if chance.random() < 0.8 else 0):
        position = chance.randrange(len(found))
        found[position] = mutated(chance, found[position])
    return found


def cut(chance: random.Random, data: bytes) -> list[bytes]:
    """The same bytes in pieces of any size."""
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randint(1, 8)))
    return [piece for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if (piece := data[start:end])]
