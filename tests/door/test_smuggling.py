"""Requests whose end two readers could see in different places.

A gateway before the door and the door itself must never disagree about where a request ends: what the one takes for a
body, the other would answer as somebody's request. So whatever is ambiguous is refused, and nothing behind it is read.
test_400.py has the plainer cases of a broken head.
"""

import socket

import pytest

from tests.door.rig import Reader, check_bytes, rule

HEAD = b"POST /v1/check HTTP/1.1\r\nHost: door\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"

LENGTHS = {
    "the same length twice, far apart": b"Content-Length: 2\r\nX-A: 1\r\ncontent-length: 2\r\n\r\n{}",
    "two lengths, zero first": b"Content-Length: 0\r\nContent-Length: 2\r\n\r\n{}",
    "a list of equal lengths": b"Content-Length: 2,2\r\n\r\n{}",
    "a list with an empty entry": b"Content-Length: 2,\r\n\r\n{}",
    "no length at all in it": b"Content-Length:\r\n\r\n{}",
    "only a blank": b"Content-Length: \r\n\r\n{}",
    "hexadecimal": b"Content-Length: 0x2\r\n\r\n{}",
    "a fraction": b"Content-Length: 2.0\r\n\r\n{}",
    "an exponent": b"Content-Length: 2e0\r\n\r\n{}",
    "an underscore": b"Content-Length: 0_2\r\n\r\n{}",
    "a sign and zero": b"Content-Length: -0\r\n\r\n",
    "a plus": b"Content-Length: +2\r\n\r\n{}",
    "a blank inside": b"Content-Length: 2 2\r\n\r\n{}",
    "quotes": b'Content-Length: "2"\r\n\r\n{}',
    "NUL behind it": b"Content-Length: 2\x00\r\n\r\n{}",
    "a vertical tab before it": b"Content-Length:\x0b2\r\n\r\n{}",
    "a no-break space": b"Content-Length: \xa02\r\n\r\n{}",
    "digits of another script": "Content-Length: ٢\r\n\r\n{}".encode(),
    "2 to the 64th and 2": b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "2 to the 32nd and 2, folded": b"Content-Length: 42949\r\n 67298\r\n\r\n{}",
    "a tab before the colon": b"Content-Length\t: 2\r\n\r\n{}",
    "a blank before the name": b" Content-Length: 2\r\n\r\n{}",
    "NUL in the name": b"Content\x00-Length: 2\r\n\r\n{}",
    "a carriage return alone before it": b"X-A: 1\rContent-Length: 2\r\n\r\n{}",
    "a line feed alone before it": b"X-A: 1\nContent-Length: 2\r\n\r\n{}",
}
CODINGS = {
    "a length first": b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "a length last": b"Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n" + CHUNKS,
    "a length of zero": b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + CHUNKS,
    "a length and identity": b"Content-Length: 2\r\nTransfer-Encoding: identity\r\n\r\n{}",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "two codings, one unknown": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "two codings, the unknown last": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + CHUNKS,
    "xchunked": b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "chunkedx": b"Transfer-Encoding: chunkedx\r\n\r\n" + CHUNKS,
    "identity": b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "chunked twice in one": b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    "chunked with a parameter": b"Transfer-Encoding: chunked;q=1\r\n\r\n" + CHUNKS,
    "chunked in quotes": b'Transfer-Encoding: "chunked"\r\n\r\n' + CHUNKS,
    "chunked and NUL": b"Transfer-Encoding: chunked\x00\r\n\r\n" + CHUNKS,
    "a vertical tab before chunked": b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "a byte order mark before chunked": b"Transfer-Encoding: \xef\xbb\xbfchunked\r\n\r\n" + CHUNKS,
    "a tab behind chunked": b"Transfer-Encoding: chunked\t\r\n\r\n" + CHUNKS,
    "folded": b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "folded, with a tab": b"Transfer-Encoding:\r\n\tchunked\r\n\r\n" + CHUNKS,
    "a blank before the colon": b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "a blank before the name": b"X-A: 1\r\n Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "nothing": b"Transfer-Encoding:\r\n\r\n" + CHUNKS,
    "a carriage return alone before it": b"X-A: 1\rTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "a line feed alone before it": b"X-A: 1\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "a line feed alone behind it": b"Transfer-Encoding: chunked\n\r\n" + CHUNKS,
}
BAD_CHUNKS = {
    "more than 64 bits": b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "a thousand digits": b"0" * 1_000 + b"g\r\n{}\r\n0\r\n\r\n",
    "0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a minus": b"-2\r\n{}\r\n0\r\n\r\n",
    "a plus": b"+2\r\n{}\r\n0\r\n\r\n",
    "a blank before": b" 2\r\n{}\r\n0\r\n\r\n",
    "a blank inside": b"0 2\r\n{}\r\n0\r\n\r\n",
    "a tab behind": b"2\t\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
    "no size but an extension": b";a\r\n{}\r\n0\r\n\r\n",
    "a line feed alone behind the size": b"2\n{}\r\n0\r\n\r\n",
    "a carriage return alone behind the size": b"2\r{}\r\n0\r\n\r\n",
    "a line feed alone behind the data": b"2\r\n{}\n0\r\n\r\n",
    "nothing behind the data": b"2\r\n{}0\r\n\r\n",
    "other bytes behind the data": b"2\r\n{}xx0\r\n\r\n",
    "a line feed in an extension": b"2;a\nb\r\n{}\r\n0\r\n\r\n",
    "a carriage return in an extension": b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    "NUL in an extension": b"2;a\x00\r\n{}\r\n0\r\n\r\n",
    "an extension that is quoted and open": b'2;a="\r\n{}\r\n0\r\n\r\n',
    "a line feed alone behind the last size": b"2\r\n{}\r\n0\n\r\n",
    "a trailer with a blank before the colon": b"2\r\n{}\r\n0\r\nX : 1\r\n\r\n",
    "a length among the trailers": b"2\r\n{}\r\n0\r\nContent-Length: 99\r\n\r\n",
    "a trailer without a colon": b"2\r\n{}\r\n0\r\nX\r\n\r\n",
    "a trailer that ends in a line feed": b"2\r\n{}\r\n0\r\nX: 1\n\r\n",
}
HEADS = {
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/0.9, without a carriage return": b"GET /healthz\n",
    "HTTP/0.9, said aloud": HEAD.replace(b"1.1", b"0.9") + b"\r\n",
    "chunks in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + CHUNKS,
    "chunks in HTTP/1.0 that stays": CHUNKED.replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n") + CHUNKS,
    "the beginning of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": HEAD.replace(b"1.1", b"2.0") + b"\r\n",
    "HTTP/1.2": HEAD.replace(b"1.1", b"1.2") + b"\r\n",
    "HTTP/1.10": HEAD.replace(b"1.1", b"1.10") + b"\r\n",
    "http/1.1": HEAD.replace(b"HTTP", b"http") + b"\r\n",
    "HTTP/1.1 and a blank": HEAD.replace(b"1.1", b"1.1 ") + b"\r\n",
    "HTTP/ 1.1": HEAD.replace(b"/1.1", b"/ 1.1") + b"\r\n",
    "a tab before the target": HEAD.replace(b"POST ", b"POST\t") + b"\r\n",
    "NUL in the target": HEAD.replace(b"check", b"ch\x00eck") + b"\r\n",
    "a carriage return in the target": HEAD.replace(b"check", b"ch\reck") + b"\r\n",
    "a method in small letters": HEAD.replace(b"POST", b"post") + b"\r\n",
    "a carriage return alone behind the version": HEAD.replace(b"1.1\r\n", b"1.1\r") + b"\r\n",
    "two Hosts": HEAD + b"Host: door\r\n\r\n",
    "two Hosts, one in the target": HEAD.replace(b"/v1", b"http://other/v1") + b"Host: other\r\n\r\n",
    "a blank before Host": b"POST /v1/check HTTP/1.1\r\n Host: door\r\n\r\n",
    "a folded Host": b"POST /v1/check HTTP/1.1\r\nHost:\r\n door\r\n\r\n",
    "a control character in a name": HEAD + b"X\x01A: 1\r\n\r\n",
    "a delete in a name": HEAD + b"X\x7fA: 1\r\n\r\n",
    "a letter beyond ASCII in a name": HEAD + b"X\xe9: 1\r\n\r\n",
    "a blank in a name": HEAD + b"X A: 1\r\n\r\n",
    "brackets in a name": HEAD + b"X(A): 1\r\n\r\n",
    "NUL in a value": HEAD + b"X-A: a\x00\r\n\r\n",
    "a control character in a value": HEAD + b"X-A: a\x01\r\n\r\n",
    "a delete in a value": HEAD + b"X-A: a\x7f\r\n\r\n",
    "a carriage return in a value": HEAD + b"X-A: a\rb\r\n\r\n",
    "a line feed ends the head": HEAD + b"X-A: a\r\n\n",
    "carriage returns end the head": HEAD + b"X-A: a\r\r\n",
    "a line without a colon": HEAD + b"X-A\r\n\r\n",
}
CASES = {
    f"{table}: {name}": start + rest
    for table, start, rows in (
        ("length", HEAD, LENGTHS),
        ("coding", HEAD, CODINGS),
        ("chunk", CHUNKED, BAD_CHUNKS),
        ("head", b"", HEADS),
    )
    for name, rest in rows.items()
}


@pytest.fixture(scope="module")
def key(house):
    return house.keyring.key(house.keyring.tenant(rule(limit=1_000_000)))


@pytest.mark.parametrize("sent", CASES.values(), ids=CASES)
def test_what_has_two_ends_is_refused_and_nothing_behind_it_is_read(door, key, sent):
    before = door.left(key)
    with door.connect() as connection:
        connection.sendall(sent + check_bytes(key) * 2)
        reader = Reader(connection)
        answer = reader.response()
        assert (answer.status, answer.json["code"]) == (400, "invalid_request")
        assert answer.headers["connection"] == "close"
        assert reader.at_end()
    assert door.left(key) == before


UNFINISHED = {
    "a chunk of all but 2 to the 64th": CHUNKED + b"ffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a chunk with leading zeros": CHUNKED + b"0000000000001000\r\n{}\r\n0\r\n\r\n",
    "a trailer without an end": CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: 1\r\nX-Swallowed: ",
}


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_what_stands_inside_an_unfinished_request_is_no_request(door, key, sent):
    before = door.left(key)
    with door.connect() as connection:
        connection.sendall(sent + check_bytes(key)[:-2])
        connection.shutdown(socket.SHUT_WR)
        reader = Reader(connection)
        assert reader.response().status == 400
        assert reader.at_end()
    assert door.left(key) == before


PLAIN = {
    "a blank behind chunked": b"Transfer-Encoding: chunked \r\n\r\n" + CHUNKS,
    "a tab before chunked": b"Transfer-Encoding:\tchunked\r\n\r\n" + CHUNKS,
    "capitals": b"TRANSFER-ENCODING: Chunked\r\n\r\n" + CHUNKS,
    "zeros before a size": b"Transfer-Encoding: chunked\r\n\r\n" + b"0002\r\n{}\r\n0000\r\n\r\n",
    "a long extension": b"Transfer-Encoding: chunked\r\n\r\n" + b"2;" + b"a=b;" * 99 + b"c\r\n{}\r\n0\r\n\r\n",
    "blanks around a length": b"Content-Length: \t 2 \t \r\n\r\n{}",
    "zeros before a length": b"Content-Length: 0000000002\r\n\r\n{}",
    "a head as the body": b"Content-Length: 60\r\n\r\n"
    + b'{"user": "POST /v1/check HTTP/1.1\\r\\nHost: door\\r\\n\\r\\n"}'.ljust(60),
}


@pytest.mark.parametrize("rest", PLAIN.values(), ids=PLAIN)
def test_what_has_one_end_is_one_request(door, key, rest):
    """The other side: these are legal, and each is exactly one check before the next."""
    before = door.left(key)
    with door.connect() as connection:
        connection.sendall(HEAD + b"Authorization: Bearer %b\r\n" % key.encode() + rest + check_bytes(key, cost=7))
        connection.shutdown(socket.SHUT_WR)
        reader = Reader(connection)
        assert [reader.response().status for _ in range(2)] == [200, 200]
        assert reader.at_end()
    assert door.left(key) == before - 8


def test_a_target_with_another_host_is_answered_here_and_once(door, key):
    """The door knows no hosts by name; the target counts (RFC 9112, 3.2.2)."""
    credential = b"Authorization: Bearer %b\r\n" % key.encode()
    sent = HEAD.replace(b"/v1", b"http://other/v1") + credential + b"Content-Length: 2\r\n\r\n{}"
    before = door.left(key)
    with door.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        reader = Reader(connection)
        assert reader.response().status == 200
        assert reader.at_end()
    assert door.left(key) == before - 1
