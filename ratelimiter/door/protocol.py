"""HTTP/1.1 on one connection: bytes in, exchanges to the service, answers out in the order of the requests.

httptools finds the pieces; what it lets through and we do not (no Host, two credentials, endless headers) is refused
here. A refusal that leaves the rest of the stream without meaning ends the connection: earlier requests are answered
first, then the refusal, then nothing more is read. A client that is slow to send or to read is cut off by `sweep`.
"""

import asyncio
from collections import deque
from typing import Protocol, cast

import httptools

from ratelimiter.door.exchange import Exchange
from ratelimiter.door.headers import FIELDS, GATEWAY_HEADERS, UNREAD, framing
from ratelimiter.door.heads import Heads
from ratelimiter.door.settings import DoorSettings
from ratelimiter.engine.errors import EngineError, HeadersTooLarge, InvalidRequest, TooLarge, Unavailable

MAX_HEAD_BYTES = 16_384
MAX_HEADERS = 64
MAX_PIPELINED = 32
WRITE_HIGH_WATER = 256 * 1024
WRITE_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 10  # far beyond what any answer takes; no connection hangs on a mistake of ours
LINGER_S = 2
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Service(Protocol):
    """Who answers. `handle` and `refuse` never raise; both end in one call of `HttpConnection.release`."""

    settings: DoorSettings
    now_s: float  # coarse, of the loop
    draining: bool
    heads: Heads

    def handle(self, exchange: Exchange) -> None: ...
    def refuse(self, exchange: Exchange, error: EngineError) -> None: ...
    def body_limit(self, path: bytes) -> int: ...
    def connected(self, connection: "HttpConnection") -> bool: ...
    def disconnected(self, connection: "HttpConnection") -> None: ...


class _Stop(Exception):
    """Leaves the parser: the rest of the input has no meaning."""


class HttpConnection(asyncio.Protocol):
    __slots__ = (
        "_body_bytes", "_body_limit", "_completed", "_continue_due", "_current", "_ended", "_head_bytes", "_headers",
        "_heads", "_held", "_in_body", "_last", "_mid", "_parser", "_paused", "_queue", "_received", "_refused",
        "_resumed", "_service", "_since", "_transport", "_writable", "is_closed", "release_due",
    )  # fmt: skip

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._queue: deque[Exchange] = deque()  # unanswered, in order of arrival
        self._held: deque[Exchange] = deque()  # the tail of the queue that waits to be handled
        self._current: Exchange | None = None
        self._last: Exchange | None = None  # completed in this read
        self._completed = 0  # requests in this read
        self._heads = service.heads
        self._headers = self._head_bytes = self._body_bytes = self._body_limit = 0
        self._received = 0  # bytes of an unfinished request, in whole reads
        self._mid = False  # a request has begun to arrive
        self._in_body = False
        self._resumed = False
        self._continue_due = False
        self._ended = False  # nothing more is read: the client said so
        self._refused = False  # nothing more is read: we said so
        self._paused = False
        self._writable = True
        self._since = service.now_s
        self.is_closed = False
        self.release_due = False  # kept by the service: this connection is on its list already

    # --- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        if not self._service.connected(self):
            self._refuse(Unavailable("this server has too many connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._service.disconnected(self)
        self._parser = cast("httptools.HttpRequestParser", None)  # it refers to us
        self._current = None
        self._held.clear()

    def data_received(self, data: bytes) -> None:
        if self._refused or self._ended:
            return
        fresh = not self._mid
        if fresh:
            known = self._heads.recognise(data, self)
            if known is not None:
                self._enqueue(known)
                return
        self._completed = 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrades(memoryview(data)[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse_unparsed(error)
        else:
            if fresh and self._completed == 1 and not self._mid and self._last is not None:
                self._heads.learn(data, self._last)
        if self._mid:
            self._look_at_partial(len(data))
        self._last = None

    def eof_received(self) -> bool:
        """True keeps the connection open for the answers that are still due."""
        if self._mid and not self._ended:
            self._refuse(InvalidRequest("the request ended before it was complete"))
        self._ended = True
        return bool(self._queue)

    def pause_writing(self) -> None:
        self._writable = False
        self._since = self._service.now_s
        self._reading_adjust()

    def resume_writing(self) -> None:
        self._writable = True
        self._since = self._service.now_s
        self._reading_adjust()

    # --- httptools

    def on_message_begin(self) -> None:
        self._mid = True
        self._since = self._service.now_s

    def on_url(self, url: bytes) -> None:
        if self._resumed:
            return
        if self._current is None:
            self._current = Exchange(self, url)
            self._headers = self._head_bytes = self._received = 0
        else:
            self._current.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._resumed or self._in_body:  # a trailer says nothing that counts
            return
        self._headers += 1
        self._head_bytes += len(name) + len(value)
        field = FIELDS.get(name)
        if field is None:
            if name in UNREAD:
                return
            lowered = name.lower()
            field = FIELDS.get(lowered)
            if field is None:
                if lowered in GATEWAY_HEADERS:
                    self._gateway_header(lowered, value)
                return
        exchange = self._current
        if getattr(exchange, field) is not None:
            if field != "request_id":
                self._refuse(InvalidRequest(f"the header {name.decode('latin-1')} stands there twice"))
                raise _Stop
            value = b""  # two are as good as none
        setattr(exchange, field, value)

    def _gateway_header(self, name: bytes, value: bytes) -> None:
        exchange = self._current
        assert exchange is not None
        said = exchange.gateway = exchange.gateway or {}
        if name not in said:
            said[name] = value
        elif name == b"x-forwarded-for":
            said[name] += b"," + value
        else:
            self._stop(InvalidRequest(f"the header {name.decode()} stands there twice"))

    def on_headers_complete(self) -> None:
        if self._resumed:
            self._resumed = False
            return
        exchange = self._current
        assert exchange is not None
        if self._headers > MAX_HEADERS or self._head_bytes + len(exchange.path) + 4 * self._headers > MAX_HEAD_BYTES:
            self._stop(HeadersTooLarge(f"a request may have {MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes of them"))
        version = self._parser.get_http_version()
        if version != "1.1" and (version != "1.0" or exchange.transfer_encoding is not None):
            self._stop(InvalidRequest("this is neither HTTP/1.1 nor HTTP/1.0, which knows no Transfer-Encoding"))
        if exchange.host is None and version != "1.0":
            self._stop(InvalidRequest("the header Host is missing"))
        self._in_body = True
        self._body_bytes = 0
        limit = self._body_limit = self._service.body_limit(exchange.path)
        if exchange.content_length is not None and int(exchange.content_length) > limit:
            self._stop(TooLarge(f"the body is larger than {limit} bytes"))
        if exchange.expect is not None and exchange.expect.lower() == b"100-continue":
            if self._queue:
                self._continue_due = True
            else:
                self._transport.write(CONTINUE)

    def on_body(self, data: bytes) -> None:
        exchange = self._current
        assert exchange is not None
        self._body_bytes += len(data)
        if self._body_bytes > self._body_limit:
            self._stop(TooLarge(f"the body is larger than {self._body_limit} bytes"))
        if not exchange.body:
            exchange.body = data
        elif isinstance(exchange.body, bytearray):
            exchange.body += data
        else:
            exchange.body = bytearray(exchange.body)  # grows in place
            exchange.body += data

    def on_message_complete(self) -> None:
        exchange = self._current
        assert exchange is not None
        parser = self._parser
        if not exchange.method:
            exchange.method = parser.get_method()
            if exchange.method == b"CONNECT":
                self._stop(InvalidRequest("this server is no proxy"))
            if parser.should_upgrade():
                return  # only the head is complete, see _ignore_upgrades
        self._current = None
        self._mid = self._in_body = self._continue_due = False
        if not parser.should_keep_alive():
            exchange.close = self._ended = True
        self._completed += 1
        self._last = exchange
        self._enqueue(exchange)

    def _enqueue(self, exchange: Exchange) -> None:
        self._queue.append(exchange)
        if len(self._queue) > MAX_PIPELINED or self._held:
            self._held.append(exchange)
            self._reading_adjust()
        else:
            self._service.handle(exchange)

    # --- answers

    def release(self) -> None:
        """Writes every answer whose turn it is."""
        if self.is_closed:
            self._queue.clear()
            return
        queue = self._queue
        answers = []
        close = False
        while queue:
            exchange = queue[0]
            answer = exchange.answer
            if answer is None:
                break
            queue.popleft()
            close = exchange.close or (self._service.draining and not queue and not self._mid)
            answers.append(_with_close(answer) if close else answer)
            if close:
                break
        if answers:
            self._since = self._service.now_s
            self._transport.write(answers[0] if len(answers) == 1 else b"".join(answers))
        if close or (self._ended and not queue):
            self._finish()
            return
        if self._held:
            self._handle_held()
        elif self._continue_due and not queue:
            self._continue_due = False
            self._transport.write(CONTINUE)

    def sweep(self, now_s: float) -> None:
        """Called every second or so. Cuts off who keeps us waiting."""
        waited_s = now_s - self._since
        settings = self._service.settings
        if not self._writable:
            if waited_s > WRITE_TIMEOUT_S:
                self._transport.abort()
        elif self._refused and not self._queue:
            if waited_s > LINGER_S:
                self._transport.abort()
        elif self._queue:
            if waited_s > ANSWER_TIMEOUT_S:
                self._transport.abort()
        elif self._mid:
            if waited_s > (settings.door_body_timeout_s if self._in_body else settings.door_head_timeout_s):
                self._refuse(InvalidRequest(f"the request did not arrive within {int(waited_s)} s"))
        elif waited_s > settings.door_idle_timeout_s:
            self._transport.close()

    def close_if_idle(self) -> None:
        if not self._queue and not self._mid:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    # --- inside

    def _handle_held(self) -> None:
        held = self._held
        while held and len(self._queue) - len(held) < MAX_PIPELINED:
            self._service.handle(held.popleft())
        self._reading_adjust()

    def _reading_adjust(self) -> None:
        pause = bool(self._held) or not self._writable
        if pause != self._paused and not self.is_closed:
            self._paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _stop(self, error: EngineError) -> None:
        self._refuse(error)
        raise _Stop

    def _refuse(self, error: EngineError) -> None:
        exchange = self._current or Exchange(self, b"")
        exchange.close = self._refused = True
        self._current = None
        self._mid = False
        self._queue.append(exchange)
        self._service.refuse(exchange, error)

    def _refuse_unparsed(self, error: httptools.HttpParserError) -> None:
        """Also what `_Stop` ends in, and what follows a client's last request; nothing is to be said then."""
        if not (self._refused or self._ended):
            self._refuse(InvalidRequest(f"this is not HTTP/1.1: {error}"))

    def _finish(self) -> None:
        if self._ended or not self._refused:
            self._transport.close()
            return
        # What the client is still sending must be read for a while: closing over it would reset the connection, and
        # the answer could be lost on the way. `sweep` ends this.
        self._since = self._service.now_s
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _look_at_partial(self, read_bytes: int) -> None:
        """The parser shows pieces only once they are whole; what is still growing is bounded here."""
        if self._completed:
            return  # how much of the read belongs to the unfinished request is not known; the next read is all its own
        self._received += read_bytes
        if not self._in_body:
            if self._received > 2 * MAX_HEAD_BYTES:
                self._refuse(HeadersTooLarge(f"the headers are larger than {MAX_HEAD_BYTES} bytes"))
        elif self._received > 8 * self._body_limit + 2 * MAX_HEAD_BYTES:  # one-byte chunks are six bytes each
            self._refuse(TooLarge("the body's chunks and trailers are too large"))

    def _ignore_upgrades(self, rest: memoryview) -> None:
        """The parser stops after the head of a request that asks for another protocol. We go on in this one: a fresh
        parser gets the same framing without the wish, and then the rest, in which more such requests may stand.
        """
        try:
            while True:
                assert self._current is not None
                head = framing(self._current, keep_alive=self._parser.should_keep_alive())
                self._parser = httptools.HttpRequestParser(self)
                self._resumed = True
                self._parser.feed_data(head)
                try:
                    self._parser.feed_data(rest)
                except httptools.HttpParserUpgrade as upgrade:
                    rest = rest[upgrade.args[0] :]
                else:
                    return
        except httptools.HttpParserError as error:
            self._refuse_unparsed(error)


def _with_close(answer: bytes) -> bytes:
    return answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
