"""HTTP/1.1: order, reuse, framing, and clients that are slow."""

import contextlib
import socket
import threading
import time

import pytest

from tests.door.rig import Reader, check_bytes, request_bytes, rule


@pytest.fixture
def key(keyring):
    return keyring.key(keyring.tenant(rule(limit=1_000)))


def remaining(answer):
    assert answer.status == 200, answer
    return answer.json["remaining"]


def test_pipelined_answers_leave_in_the_order_of_their_requests(door, keyring, key):
    fresh = keyring.key(keyring.tenant(rule(limit=7)))  # must be looked up, so it is decided last
    with door.connect() as connection:
        connection.sendall(
            check_bytes(fresh) + request_bytes("GET", "/healthz") + check_bytes(key) + check_bytes("rl_live_x")
            + check_bytes(key) + request_bytes("GET", "/nope")
        )  # fmt: skip
        reader = Reader(connection)
        assert remaining(reader.response()) == 6
        assert reader.response().json == {"status": "ok"}
        assert remaining(reader.response()) == 999
        assert reader.response().status == 401
        assert remaining(reader.response()) == 998
        assert reader.response().status == 404


def test_checks_of_one_key_are_decided_in_order_of_arrival_even_before_it_is_known(door, keyring):
    fresh = keyring.key(keyring.tenant(rule(limit=100)))
    with door.connect() as connection:
        connection.sendall(check_bytes(fresh) * 30)
        reader = Reader(connection)
        assert [remaining(reader.response()) for _ in range(30)] == list(range(99, 69, -1))


def test_hundreds_of_pipelined_requests_are_all_answered_in_order(door, key):
    with door.connect() as connection:
        connection.sendall(check_bytes(key) * 500)
        reader = Reader(connection)
        assert [remaining(reader.response()) for _ in range(500)] == list(range(999, 499, -1))


def test_a_long_pipeline_is_no_long_head(door):
    request = request_bytes("GET", "/healthz")
    with door.connect() as connection:
        reader = Reader(connection)
        sender = threading.Thread(target=connection.sendall, args=(request * 20_000,))
        sender.start()
        assert {reader.response().status for _ in range(20_000)} == {200}
        sender.join()


def test_a_client_that_pipelines_and_never_reads_is_stopped_by_its_own_full_pipe(door):
    request = request_bytes("GET", "/nope") * 100
    with door.connect() as connection:
        connection.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                sent += connection.send(request)
        assert door.get("/healthz").status == 200
        assert sent < 50_000_000


def test_a_request_may_come_byte_by_byte(door, key):
    with door.connect() as connection:
        for byte in check_bytes(key, user="u"):
            connection.sendall(bytes((byte,)))
        assert remaining(Reader(connection).response()) == 999


def test_a_chunked_body_may_come_in_any_pieces(door, key):
    head = request_bytes("POST", "/v1/check", None, {"Authorization": f"Bearer {key}", "Transfer-Encoding": "chunked"})
    body = b'1\r\n{\r\n4;extension=1\r\n"cos\r\n6\r\nt": 5}\r\n0\r\nAuthorization: Bearer trailer\r\n\r\n'
    with door.connect() as connection:
        connection.sendall(head + body + check_bytes(key))
        reader = Reader(connection)
        assert remaining(reader.response()) == 995
        assert remaining(reader.response()) == 994


def test_a_client_that_waits_for_100_continue_gets_it_in_its_turn(door, key):
    waiting = check_bytes(key, headers={"Expect": "100-continue"}, cost=2)
    head, _, body = waiting.partition(b"\r\n\r\n")
    with door.connect() as connection:
        reader = Reader(connection)
        connection.sendall(head + b"\r\n\r\n")
        assert reader.response().status == 100
        connection.sendall(body + check_bytes(key) + head + b"\r\n\r\n")
        assert remaining(reader.response()) == 998
        assert remaining(reader.response()) == 997
        assert reader.response().status == 100
        connection.sendall(body)
        assert remaining(reader.response()) == 995


def test_a_body_that_would_be_refused_is_not_asked_for(door):
    head = request_bytes("POST", "/v1/check", None, {"Expect": "100-continue", "Content-Length": "20000"})
    with door.connect() as connection:
        connection.sendall(head)
        assert Reader(connection).response().status == 413


@pytest.mark.parametrize("framing", ["length", "chunks", "nothing"])
def test_the_wish_for_another_protocol_is_ignored(door, key, framing):
    headers = {"Authorization": f"Bearer {key}", "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}
    if framing == "length":
        sent = request_bytes("POST", "/v1/check", b'{"cost": 3}', headers)
    elif framing == "chunks":
        chunks = b'b\r\n{"cost": 3}\r\n0\r\n\r\n'
        sent = request_bytes("POST", "/v1/check", None, headers | {"Transfer-Encoding": "chunked"}) + chunks
    else:
        sent = request_bytes("GET", "/healthz", None, headers)
    with door.connect() as connection:
        connection.sendall(sent[:-4])
        time.sleep(0.01)
        connection.sendall(sent[-4:] + check_bytes(key))
        reader = Reader(connection)
        first = reader.response()
        assert (first.json == {"status": "ok"}) if framing == "nothing" else (remaining(first) == 997)
        assert remaining(reader.response()) == (999 if framing == "nothing" else 996)


def test_thousands_of_wishes_for_another_protocol_are_ignored_as_well(door):
    wish = request_bytes("GET", "/healthz", None, {"Connection": "upgrade", "Upgrade": "x"})
    with door.connect() as connection:
        reader = Reader(connection)
        sender = threading.Thread(target=connection.sendall, args=(wish * 4_000,))
        sender.start()
        assert {reader.response().status for _ in range(4_000)} == {200}
        sender.join()


@pytest.mark.parametrize("sent", ["Connection: close", "Connection: Keep-Alive, close"])
def test_a_client_that_wants_to_close_is_answered_and_closed(door, sent):
    name, value = sent.split(": ")
    with door.connect() as connection:
        connection.sendall(request_bytes("GET", "/healthz", None, {name: value}))
        reader = Reader(connection)
        assert reader.response().headers["connection"] == "close"
        assert reader.at_end()


def test_http_1_0_needs_no_host_and_closes(door):
    with door.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        reader = Reader(connection)
        assert reader.response().status == 200
        assert reader.at_end()


def test_a_client_that_has_said_everything_still_hears_the_answer(door, key):
    with door.connect() as connection:
        connection.sendall(check_bytes(key) * 3)
        connection.shutdown(socket.SHUT_WR)
        reader = Reader(connection)
        assert [remaining(reader.response()) for _ in range(3)] == [999, 998, 997]
        assert reader.at_end()


def test_a_client_that_leaves_early_is_counted_all_the_same(door, key):
    with door.connect() as connection:
        connection.sendall(check_bytes(key) * 5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    deadline = time.monotonic() + 2
    while door.check(key, mode="peek").json["remaining"] != 994 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert door.check(key, mode="peek").json["remaining"] == 994


def test_a_head_that_was_seen_before_is_no_excuse_for_another_body(door, key):
    with door.connect() as connection:
        reader = Reader(connection)
        for cost in (1, 2, 3, 10, 20):
            connection.sendall(check_bytes(key, cost=cost))
            reader.response()
        for cost in (1, 2, 10, 30):
            connection.sendall(check_bytes(key, cost=cost))
            assert reader.response().status == 200
        assert remaining(door.check(key)) == 1_000 - 36 - 43 - 1


def test_a_head_that_was_seen_before_may_come_in_pieces_or_with_more_behind_it(door, key):
    request = check_bytes(key)
    with door.connect() as connection:
        reader = Reader(connection)
        for _ in range(2):
            connection.sendall(request)
            reader.response()
        connection.sendall(request[:-1])
        time.sleep(0.01)
        connection.sendall(request[-1:])
        assert remaining(reader.response()) == 997
        connection.sendall(request + request[:30])
        assert remaining(reader.response()) == 996
        connection.sendall(request[30:])
        assert remaining(reader.response()) == 995
        connection.sendall(request)
        assert remaining(reader.response()) == 994


def test_a_known_head_behind_the_beginning_of_another_request_is_not_recognised(door, key):
    request = check_bytes(key)
    with door.connect() as connection:
        reader = Reader(connection)
        for _ in range(2):
            connection.sendall(request)
            reader.response()
        connection.sendall(request + b"PO")
        assert remaining(reader.response()) == 997
        connection.sendall(request)
        assert reader.response().status == 400
        assert reader.at_end()
    assert remaining(door.check(key)) == 996


def test_empty_lines_between_requests_are_ignored(door, key):
    with door.connect() as connection:
        reader = Reader(connection)
        for expected in (999, 998, 997):
            connection.sendall(b"\r\n")
            time.sleep(0.005)
            connection.sendall(b"\r\n" + check_bytes(key))
            assert remaining(reader.response()) == expected


def test_blank_lines_before_a_request_never_lend_its_key_to_another_connection(door, keyring):
    victim = keyring.key(keyring.tenant())
    with door.connect() as connection:
        reader = Reader(connection)
        for _ in range(3):
            connection.sendall(b"\r\n\r\n" + check_bytes(victim, user="u"))
            assert reader.response().status == 200
    body = b'{"user": "u"}'
    with door.connect() as connection:
        connection.sendall(b"\r\n\r\n" + body + b"\r\n\r\n")
        assert Reader(connection).response().status == 400
