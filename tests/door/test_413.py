"""Bodies that are too large. The rest of such a body is not read: the connection ends."""

import pytest

from tests.door.rig import Reader, request_bytes, rule

LIMIT = 16_384
BATCH_LIMIT = 512 * 1024


def refused(door, sent):
    with door.connect() as connection:
        connection.sendall(sent)
        reader = Reader(connection)
        answer = reader.response()
        assert answer.headers["connection"] == "close"
        assert reader.at_end()
        return (answer.status, answer.json["code"]) == (413, "too_large")


@pytest.mark.parametrize(("path", "limit"), [("/v1/check", LIMIT), ("/nope", LIMIT), ("/v1/check/batch", BATCH_LIMIT)])
def test_a_body_over_the_limit_is_refused_before_it_is_read(door, path, limit):
    assert refused(door, request_bytes("POST", path, b"", {"Content-Length": str(limit + 1)}))


def test_a_body_over_the_limit_is_refused_also_when_it_is_sent(door):
    assert refused(door, request_bytes("POST", "/v1/check", b" " * (LIMIT + 1)))
    assert refused(door, request_bytes("POST", "/v1/check", b" " * 5_000_000))


def test_chunks_over_the_limit_are_refused(door):
    head = request_bytes("POST", "/v1/check", None, {"Transfer-Encoding": "chunked"})
    assert refused(door, head + b"1000\r\n" + b" " * 4_096 + b"\r\n" + (b"1000\r\n" + b" " * 4_096 + b"\r\n") * 4)


def test_endless_trailers_are_refused(door):
    head = request_bytes("POST", "/v1/check", None, {"Transfer-Encoding": "chunked"})
    assert refused(door, head + b"2\r\n{}\r\n0\r\n" + b"X-Trailer: " + b"a" * 1_000_000)


def test_a_body_of_just_the_limit_is_read(door, keyring):
    key = keyring.key(keyring.tenant(rule()))
    body = b'{"user": "u"}'.ljust(LIMIT)
    assert door.request("POST", "/v1/check", body, {"Authorization": f"Bearer {key}"}).status == 200
