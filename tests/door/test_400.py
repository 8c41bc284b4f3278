"""Requests that make no sense. Bodies are test_hostile.py's matter."""

import socket

import pytest

from tests.door.rig import Reader, check_bytes, request_bytes, rule


def test_two_credentials_are_refused_whatever_they_are(door, keyring):
    key = keyring.key(keyring.tenant(rule()))
    for headers in ({"X-API-Key": key}, {"x-api-key": "nonsense"}):
        answer = door.check(key, headers=headers)
        assert (answer.status, answer.json["code"]) == (400, "invalid_request")
        assert "one credential" in answer.json["detail"]


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
def test_an_idempotency_key_that_is_none_is_refused(door, keyring, key):
    caller = keyring.key(keyring.tenant(rule()))
    answer = door.check(caller, headers={"Idempotency-Key": key})
    assert answer.status == 400
    assert "Idempotency-Key" in answer.json["detail"]
    assert answer.headers["rl-decision"] == "none"


def test_a_rule_that_does_not_exist_is_named(door, keyring):
    answer = door.check(keyring.key(keyring.tenant(rule("here"))), rules=["here", "gone"])
    assert answer.status == 400
    assert answer.json["errors"][0]["pointer"] == "/rules/1"


@pytest.mark.parametrize("checks", [[], [{}] * 101, {}, None, "x"])
def test_a_batch_has_one_to_a_hundred_entries(door, keyring, checks):
    answer = door.check(keyring.key(keyring.tenant(rule())), path="/v1/check/batch", checks=checks)
    assert answer.status == 400
    assert answer.json["errors"][0]["pointer"] == "/checks"


HEAD = b"POST /v1/check HTTP/1.1\r\nHost: door\r\n"
BROKEN_HEADS = {
    "no Host": b"POST /v1/check HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "two Hosts": HEAD + b"Host: other\r\nContent-Length: 2\r\n\r\n{}",
    "two Authorizations": HEAD + b"Authorization: a\r\nauthorization: b\r\nContent-Length: 2\r\n\r\n{}",
    "two API keys": HEAD + b"X-API-Key: a\r\nX-Api-Key: b\r\nContent-Length: 2\r\n\r\n{}",
    "two equal lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "both kinds of length": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "a length with a plus": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "an endless length": HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    "an unknown transfer encoding": HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "chunked that is not last": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n{}",
    "a bad chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than said": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "a folded header": HEAD + b"X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}",
    "a header without a name": HEAD + b": 1\r\n\r\n",
    "a control character in a header": HEAD + b"X-A: a\x00b\r\n\r\n",
    "bare line feeds": HEAD.replace(b"\r", b"") + b"Content-Length: 2\n\n{}",
    "no version": b"POST /v1/check\r\n\r\n",
    "an unknown version": b"POST /v1/check HTTP/9.9\r\nHost: door\r\n\r\n",
    "an unknown method": b"BREW /v1/check HTTP/1.1\r\nHost: door\r\n\r\n",
    "a proxy's request": b"CONNECT door:443 HTTP/1.1\r\nHost: door:443\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
    "noise": bytes(range(256)),
}


@pytest.mark.parametrize("sent", BROKEN_HEADS.values(), ids=BROKEN_HEADS)
def test_what_cannot_be_trusted_is_answered_400_and_the_connection_ends(door, sent):
    with door.connect() as connection:
        connection.sendall(sent)
        reader = Reader(connection)
        answer = reader.response()
        assert answer.status == 400
        assert answer.json["code"] == "invalid_request"
        assert answer.headers["connection"] == "close"
        assert answer.headers["rl-decision"] == "none"
        assert reader.at_end()
    assert door.get("/healthz").status == 200


@pytest.mark.parametrize(
    "sent",
    [b"POST /v1/ch", HEAD, HEAD + b"Content-Length: 10\r\n\r\n{", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"],
)
def test_half_a_request_is_answered_400(door, sent):
    with door.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        reader = Reader(connection)
        assert reader.response().status == 400
        assert reader.at_end()


def test_requests_before_a_broken_one_are_answered_first(door, keyring):
    key = keyring.key(keyring.tenant(rule(limit=10)))
    with door.connect() as connection:
        connection.sendall(check_bytes(key) * 3 + b"nonsense\r\n\r\n" + check_bytes(key))
        reader = Reader(connection)
        assert [reader.response().status for _ in range(4)] == [200, 200, 200, 400]
        assert reader.at_end()
    assert door.check(key).json["remaining"] == 6


def test_requests_before_a_broken_one_are_answered_also_to_a_client_that_has_said_everything(door, keyring):
    key = keyring.key(keyring.tenant(rule(limit=10)))
    with door.connect() as connection:
        connection.sendall(check_bytes(key) * 3 + b"nonsense\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        reader = Reader(connection)
        assert [reader.response().status for _ in range(4)] == [200, 200, 200, 400]
        assert reader.at_end()


def test_a_request_smuggled_behind_two_lengths_is_never_served(door, keyring):
    key = keyring.key(keyring.tenant(rule(limit=10)))
    inner = check_bytes(key)
    with door.connect() as connection:
        outer = request_bytes("POST", "/v1/check", b"0\r\n\r\n", {"Transfer-Encoding": "chunked"})
        connection.sendall(outer + inner)
        reader = Reader(connection)
        assert reader.response().status == 400
        assert reader.at_end()
    assert door.check(key).json["remaining"] == 9
