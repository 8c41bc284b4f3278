"""Clients that take their time, or a connection, and give nothing for it."""

import time

import pytest

from tests.door.rig import Reader, request_bytes, rule, running


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    limits = {
        "door_head_timeout_s": 1,
        "door_body_timeout_s": 1,
        "door_idle_timeout_s": 1,
        "door_max_connections": 50,
    }
    with running(tmp_path_factory.mktemp("strict"), **limits) as (_, keyring, door):
        yield keyring, door


@pytest.mark.parametrize("first", [b"POST /v1/check HTTP/1.1\r\nHost: d", b"POST"])
def test_a_head_that_does_not_end_is_cut_off(strict, first):
    _, door = strict
    with door.connect() as connection:
        connection.sendall(first)
        reader = Reader(connection)
        assert reader.response().status == 400
        assert reader.at_end()


def test_a_trickle_does_not_buy_time(strict):
    _, door = strict
    begun = time.monotonic()

    def trickle(connection):
        while time.monotonic() - begun < 6:
            connection.sendall(b"X: 1\r\n")
            time.sleep(0.05)

    with door.connect() as connection:
        connection.sendall(b"POST /v1/check HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            trickle(connection)
    assert time.monotonic() - begun < 5.5


def test_a_body_that_does_not_come_is_cut_off(strict):
    _, door = strict
    with door.connect() as connection:
        connection.sendall(request_bytes("POST", "/v1/check", None, {"Content-Length": "10"}))
        reader = Reader(connection)
        assert reader.response().status == 400
        assert reader.at_end()


def test_an_idle_connection_is_closed_without_a_word(strict):
    _, door = strict
    with door.connect() as connection:
        connection.sendall(request_bytes("GET", "/healthz"))
        reader = Reader(connection)
        reader.response()
        assert reader.at_end()


def test_slow_clients_do_not_keep_others_waiting(strict):
    keyring, door = strict
    key = keyring.key(keyring.tenant(rule()))
    slow = [door.connect() for _ in range(40)]
    try:
        for connection in slow:
            connection.sendall(b"POST /v1/check HTTP/1.1\r\nHost: d\r\nX-A: ")
        begun = time.monotonic()
        assert door.check(key).status == 200
        assert time.monotonic() - begun < 0.5
    finally:
        for connection in slow:
            connection.close()


def test_connections_beyond_the_bound_are_turned_away(strict):
    _, door = strict
    held = [door.connect() for _ in range(60)]
    try:
        last = Reader(held[-1]).response()
        assert (last.status, last.headers["connection"]) == (503, "close")
    finally:
        for connection in held:
            connection.close()
