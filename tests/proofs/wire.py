"""An HttpConnection without sockets: a transport that records, and a service that answers with what it was asked.

The answers name everything that a service may see of a request. Two ways of sending the same bytes were understood
alike exactly when the answers are alike.
"""

import asyncio
import random
from collections.abc import Iterable
from typing import NamedTuple

from ratelimiter.door.exchange import Exchange
from ratelimiter.door.heads import Heads
from ratelimiter.door.protocol import CONTINUE, HttpConnection
from ratelimiter.door.routes import body_limit
from ratelimiter.engine.errors import EngineError

MAX_READ_BYTES = 256 * 1024  # uvloop's


class Transcript(NamedTuple):
    """`answers` in the order written, without the interim ones. `closed`: nothing could follow."""

    answers: list[bytes]
    closed: bool


class Forgetful(Heads):
    """Every request goes through the parser."""

    def learn(self, data: bytes, exchange: Exchange) -> None:
        pass


class Watched(Heads):
    """Counts what it recognised, so that a proof about known heads can see that there were some."""

    def __init__(self) -> None:
        super().__init__()
        self.recognised = 0

    def recognise(self, data: bytes, connection: HttpConnection) -> Exchange | None:
        known = super().recognise(data, connection)
        self.recognised += known is not None
        return known


class Pipe(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = self.paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes) -> None:
        assert not self.closed, f"written after the end: {data!r}"
        self.written.append(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Sink(Pipe):
    """Keeps nothing."""

    def write(self, data: bytes) -> None:
        pass


class Echo:
    """A service that answers later and in any order, as the real one does.

    An answer is `(the request's number | method | path | credentials | ids | body)` or `(number ! status code)`.
    """

    settings = None
    now_s = 0.0
    draining = False

    def __init__(self, heads: Heads, chance: random.Random) -> None:
        self.heads = heads
        self._chance = chance
        self._waiting: list[tuple[Exchange, bytes]] = []
        self.asked = 0

    def handle(self, exchange: Exchange) -> None:
        seen = (
            exchange.method, exchange.path, exchange.authorization, exchange.api_key, exchange.request_id,
            exchange.idempotency_key, exchange.gateway, bytes(exchange.body),
        )  # fmt: skip
        self._put(exchange, b"%d %r" % (self.asked, seen))

    def refuse(self, exchange: Exchange, error: EngineError) -> None:
        self._put(exchange, b"%d ! %d %b" % (self.asked, error.status, error.code.encode()))

    def _put(self, exchange: Exchange, text: bytes) -> None:
        self.asked += 1
        self._waiting.append((exchange, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)))

    def body_limit(self, path: bytes) -> int:
        return body_limit(path)

    def connected(self, connection: HttpConnection) -> bool:
        return True

    def disconnected(self, connection: HttpConnection) -> None:
        pass

    @property
    def idle(self) -> bool:
        return not self._waiting

    def turn(self, connection: HttpConnection) -> None:
        """Some of what waits is answered, in any order."""
        waiting = self._waiting
        self._chance.shuffle(waiting)
        for _ in range(self._chance.randint(1, len(waiting))):
            exchange, answer = waiting.pop()
            exchange.answer = answer
        connection.release()


def converse(chunks: Iterable[bytes], heads: Heads, chance: random.Random, *, eof: bool = True) -> Transcript:
    """Sends the chunks and reads everything. Asserts what holds for every conversation, see `_answers_verify`."""
    service = Echo(heads, chance)
    connection = HttpConnection(service)
    pipe = Pipe()
    connection.connection_made(pipe)
    for chunk in chunks:
        if pipe.closed and not connection._refused:
            break
        connection.data_received(chunk)
        while pipe.paused or (service._waiting and chance.random() < 0.5):
            assert not service.idle, "reading is paused, and nothing is under way that would resume it"
            service.turn(connection)
    if eof and not pipe.closed and not connection.eof_received():
        pipe.close()  # as event loops do
    while not service.idle:
        service.turn(connection)
    assert not connection._queue, "a request has no answer"
    assert not connection._held
    if connection._refused or connection._ended:
        assert pipe.closed, "refused or ended, and still open"
    transcript = Transcript(_split(b"".join(pipe.written)), pipe.closed)
    connection.connection_lost(None)
    _answers_verify(transcript, service.asked)
    return transcript


def _answers_verify(transcript: Transcript, asked: int) -> None:
    """Each request has one answer, in order; a refusal is the last one, and the end."""
    numbers = [int(answer.partition(b" ")[0]) for answer in transcript.answers]
    assert numbers == list(range(asked)), "answers are missing or out of order"
    refusals = [number for number, answer in enumerate(transcript.answers) if b" ! " in answer[:12]]
    assert refusals in ([], [asked - 1]), "something was answered after a refusal"
    assert transcript.closed or not refusals


def _split(written: bytes) -> list[bytes]:
    answers = []
    at = 0
    while at < len(written):
        if written.startswith(CONTINUE, at):
            at += len(CONTINUE)
            continue
        end = written.index(b"\r\n\r\n", at) + 4
        head = written[at:end]
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: ")
        at = end + int(head[33:].partition(b"\r\n")[0])
        answers.append(written[end:at] + (b" (closing)" if b"Connection: close" in head else b""))
    return answers
