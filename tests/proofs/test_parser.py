"""The HTTP side of the door against everything that bytes can be.

Whatever comes, in whatever pieces: nothing is raised, each request has one answer or the connection is at its end,
answers keep the order, no input takes long, and known heads (door/heads.py) change nothing but the cost.
"""

import os
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratelimiter.door.protocol import HttpConnection
from tests.proofs import streams
from tests.proofs.rounds import rounds, timed, unhurried
from tests.proofs.wire import MAX_READ_BYTES, Echo, Forgetful, Sink, Watched, converse

REQUESTS = rounds(100_000)
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "300"))
BYTEWISE_AT_MOST = 2_000


def same_whatever_the_pieces(pieces, warm, chance):
    """One conversation per way of sending; the first, in one piece and always parsed, is the measure."""
    data = b"".join(pieces)

    def told(chunks, heads):
        return timed(lambda: converse(chunks, heads, chance), lambda: chunks)

    expected = told([data], Forgetful())
    assert told(pieces, warm) == expected
    match chance.randrange(4):
        case 0 if len(data) <= BYTEWISE_AT_MOST:
            assert told([data[at : at + 1] for at in range(len(data))], Forgetful()) == expected
        case 1:
            assert told([data], warm) == expected
        case _:
            assert told(streams.cut(chance, data), warm) == expected


def test_fuzzed_requests_are_answered_alike_in_any_pieces():
    warm, sent, seed = Watched(), 0, 0
    with unhurried():
        while sent < REQUESTS:
            chance = random.Random(seed)
            pieces = streams.requests(chance)
            try:
                same_whatever_the_pieces(pieces, warm, chance)
            except Exception as error:
                raise AssertionError(f"stream {seed}: {pieces!r}") from error
            sent += len(pieces)
            seed += 1
    assert warm.recognised > sent // 20, "hardly any head was known: the fast path has not been tried"


@st.composite
def broken_streams(draw):
    """Pieces of a stream; what chance made of a seed may be broken further, so that a finding can be made small."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    data = b"".join(
        make(chance) for make in draw(st.lists(st.sampled_from([streams.request, streams.plain]), max_size=4))
    )
    for _ in range(draw(st.integers(0, 4))):
        at, removed = draw(st.integers(0, len(data))), draw(st.integers(0, 8))
        put = draw(st.one_of(st.sampled_from(streams.TOKENS), st.binary(max_size=4)))
        data = data[:at] + put + data[at + removed :]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if end > start]


@settings(max_examples=EXAMPLES, deadline=None)
@given(pieces=broken_streams())
def test_any_pieces_of_any_stream_are_answered_like_the_whole(pieces):
    chance = random.Random(0)
    expected = converse([b"".join(pieces)], Forgetful(), chance)
    assert converse(pieces, Forgetful(), chance) == expected
    warm = Watched()
    for _ in range(2):
        assert converse(pieces, warm, chance) == expected


ONE = b"POST /v1/check HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\n{}"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n"
FULL_READS = {
    "requests": ONE,
    "the shortest requests": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "wishes for another protocol": UPGRADE,
    "wishes for another protocol with a body": UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx"),
    "clients that wait": EXPECT,
    "blank lines": b"\r\n",
    "chunks": b"1\r\nx\r\n",
    "header lines": b"A: b\r\n",
    "colons": b":",
    "spaces": b" ",
    "NULs": b"\x00",
}


STARTS = {
    "nothing": b"",
    "half a head": b"POST / HTTP/1.1\r\nHost: a\r\n",
    "a request": ONE,
    "the beginning of chunks": b"POST /v1/check/batch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "the beginning of trailers": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    "a long body": b"POST /v1/check/batch HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n",
}


@pytest.mark.parametrize("filling", FULL_READS.values(), ids=FULL_READS)
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_full_read_of_anything_takes_a_moment(start, filling):
    data = start + filling * ((MAX_READ_BYTES - len(start)) // len(filling))
    with unhurried():
        timed(lambda: converse([data], Forgetful(), random.Random(0)), lambda: filling)


@pytest.mark.parametrize("filling", [*FULL_READS.values(), b"x"], ids=[*FULL_READS, "letters"])
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_connection_that_never_ends_keeps_little(start, filling):
    """Five megabytes in reads that are answered before the next one comes; more than any body may take, in chunks."""
    read = filling * (16_384 // len(filling))
    service = Echo(Forgetful(), random.Random(0))
    connection = HttpConnection(service)
    connection.connection_made(Sink())
    tracemalloc.start()
    try:
        connection.data_received(start)
        for _ in range(5_000_000 // len(read)):
            connection.data_received(read)
            while not service.idle:
                service.turn(connection)
            assert tracemalloc.get_traced_memory()[0] < 2_000_000
            if service.asked > 3_000:
                break  # it answers, and goes on answering
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("closing", [b"", b", close"])
def test_a_refused_wish_for_another_protocol_keeps_the_wish_to_close(version, closing):
    wish = b"GET / HTTP/%b\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade%b\r\n\r\n" % (version, closing)
    ends = closing or version == b"1.0"
    answers, closed = converse([wish, ONE], Forgetful(), random.Random(0), eof=False)
    assert (len(answers), closed) == ((1, True) if ends else (2, False))
