import pytest

from tests.door.rig import Reader, rule

HEAD = b"POST /v1/check HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n"
TOO_LARGE = {
    "one header of a megabyte": HEAD + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n{}",
    "one header that never ends": HEAD + b"X-A: " + b"a" * 100_000,
    "one name that never ends": HEAD + b"a" * 100_000,
    "17 KiB in many headers": HEAD + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 512) for n in range(33)) + b"\r\n{}",
    "65 headers": HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(63)) + b"\r\n{}",
    "a target of 20 KiB": HEAD.replace(b"/v1/check", b"/" + b"a" * 20_000) + b"\r\n{}",
    "an Authorization of 20 KiB": HEAD + b"Authorization: Bearer " + b"a" * 20_000 + b"\r\n\r\n{}",
}


@pytest.mark.parametrize("sent", TOO_LARGE.values(), ids=TOO_LARGE)
def test_headers_beyond_the_bounds_are_refused(door, sent):
    with door.connect() as connection:
        connection.sendall(sent)
        reader = Reader(connection)
        answer = reader.response()
        assert (answer.status, answer.json["code"]) == (431, "headers_too_large")
        assert answer.headers["connection"] == "close"
        assert reader.at_end()


def test_headers_within_the_bounds_are_read_even_in_pieces(door, keyring):
    key = keyring.key(keyring.tenant(rule()))
    fields = HEAD + f"Authorization: Bearer {key}\r\n".encode()
    fields += b"".join(b"X-%02d: %b\r\n" % (n, b"a" * 240) for n in range(60)) + b"\r\n{}"
    with door.connect() as connection:
        for start in range(0, len(fields), 3_000):
            connection.sendall(fields[start : start + 3_000])
        assert Reader(connection).response().status == 200
