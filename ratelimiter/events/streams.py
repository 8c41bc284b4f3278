"""The bus on Redis Streams: one stream a partition, `request-logs:{0}` and so on, of entries with one field.

Delivered is what the server has synced to its append-only file (WAITAOF). What the reader has counted is trimmed; the
entry at its position stays, so that a position can be told from one whose successors are gone.
"""

import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ratelimiter.events.bus import TOPIC, BusError, Done, Message, OffsetLost
from ratelimiter.events.topics import DEAD, TOPICS

MAX_MEMORY_BYTES = 1 << 30  # of the server; past it nothing is sent, so that the broker beside the streams lives
DEAD_LETTERS = 100_000
UNREAD = 100_000  # records that a partition of the other topics keeps

_ID = f"{TOPIC}:id"
_DEAD = f"{TOPIC}:dead"
_DEAD_KEPT_MS = next(topic.keep_days for topic in TOPICS if topic.name == DEAD) * 86_400_000
_SYNC = f"{TOPIC}:sync"
_FIELD = b"r"
_SYNC_TIMEOUT_MS = 10_000
_SYNC_EVERY_S = 0.01
_BEGINNING = "0-0"


class StreamsProducer:
    """`send` collects, `poll` writes. A thread syncs on a connection of its own, which sees what the first has written.

    Neither connection is ever made anew: to another process of the server, the one would vouch for what only the old
    one had heard.
    """

    def __init__(self, url: str, *, topic: str = TOPIC, max_memory_bytes: int = MAX_MEMORY_BYTES) -> None:
        """Raises BusError."""
        self._topic = topic
        self._cut = () if topic == TOPIC else ("MAXLEN", "~", UNREAD)  # who reads the others does not trim them
        self._max_memory_bytes = max_memory_bytes
        self._waiting: list[tuple[int, bytes, Done]] = []
        self._written: deque[tuple[int, Done]] = deque()  # (number of the write it was part of, whom to tell)
        self._writes = 0
        self._synced = 0
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._stale = 0.0
        with _said():
            self._client, self._vouching = _client(url), _client(url)
            _append_only_verify(self._client)
            if _run_id(self._client) != _run_id(self._vouching):
                raise BusError("the server was started anew just now")
            _topic_id(self._client)
        self._thread = threading.Thread(target=self._sync_all, name="bus-sync", daemon=True)
        self._thread.start()

    def send(self, partition: int, payload: bytes, done: Done) -> None:
        self._waiting.append((partition, payload, done))

    def poll(self, timeout_s: float) -> None:
        self._write()
        with self._changed:
            if self._written and not self._ready():
                self._changed.wait_for(self._ready, timeout_s)
            synced, failure = self._synced, self._failure
        while self._written and (failure or self._written[0][0] <= synced):
            number, done = self._written.popleft()
            done(None if number <= synced else failure)

    def flush(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        self.poll(0)
        while self._written and (left_s := deadline - time.monotonic()) > 0:
            self.poll(left_s)
        return not self._written

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._client.close()
        self._vouching.close()

    def _ready(self) -> bool:
        return self._failure is not None or self._written[0][0] <= self._synced

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        failure = self._failure
        if failure is None:
            try:
                self._room_verify()
                # All or none: were one refused for want of memory and the next one not, they would be out of order.
                pipeline = self._client.pipeline(transaction=True)
                for partition, payload, _ in waiting:
                    stream = _stream(partition, self._topic)
                    _ask(pipeline, "XADD", stream, *self._cut, "*", _FIELD, payload)
                pipeline.execute()
            except (redis.RedisError, BusError) as error:
                failure = BusError(str(error))
        with self._changed:
            self._failure = failure
            self._writes += 1
            self._written.extend((self._writes, done) for _, _, done in waiting)
            self._changed.notify_all()

    def _room_verify(self) -> None:
        """Raises BusError when the server has no memory left for us."""
        if time.monotonic() < self._stale:
            return
        memory: dict[str, Any] = self._client.info("memory")
        used = int(memory["used_memory"])
        if used > self._max_memory_bytes:
            raise BusError(f"the server holds {used} bytes; past {self._max_memory_bytes} nothing is sent")
        self._stale = time.monotonic() + 0.5

    def _sync_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or (self._synced < self._writes and not self._failure))
                if self._closing:
                    return
                writes = self._writes
            try:
                pipeline = self._vouching.pipeline(transaction=False)
                pipeline.set(_SYNC, writes)  # WAITAOF looks back to the last write of its own connection
                _ask(pipeline, "WAITAOF", 1, 0, _SYNC_TIMEOUT_MS)
                synced = pipeline.execute()[1][0]
                failure = None if synced else BusError("the server does not get its file synced")
            except redis.RedisError as error:
                failure = BusError(str(error))
            with self._changed:
                if failure is None:
                    self._synced = writes
                else:
                    self._failure = failure
                self._changed.notify_all()
            time.sleep(_SYNC_EVERY_S)  # more is written meanwhile, and synced together


class StreamsReader:
    def __init__(self, url: str) -> None:
        """Raises BusError."""
        with _said():
            self._client = _client(url)
        self._dead_stale_s = 0.0
        self._reached: dict[int, str] = {}  # what this connection has returned, and so has seen in place

    def read(self, positions: Mapping[int, str], *, max_records: int, timeout_s: float) -> list[Message]:
        with _said():
            try:
                return self._read(positions, max_records, timeout_s)
            except redis.RedisError:
                self._reached.clear()
                raise

    def _read(self, positions: Mapping[int, str], max_records: int, timeout_s: float) -> list[Message]:
        for partition, position in positions.items():
            if position and self._reached.get(partition) != position:
                self._place_verify(partition, position)
        answer = _ask(
            self._client, "XREAD",
            "COUNT", max(1, max_records // len(positions)), "BLOCK", max(1, int(timeout_s * 1_000)),
            "STREAMS", *map(_stream, positions), *(position or _BEGINNING for position in positions.values()),
        )  # fmt: skip
        partitions = {_stream(partition).encode(): partition for partition in positions}
        messages = []
        for stream, entries in _pairs(answer):
            partition = partitions[stream]
            for number, fields in entries:
                position = number.decode()
                messages.append(Message(partition, position, position, fields[1]))
            if entries:
                self._reached[partition] = messages[-1].next
        return messages

    def topic_id(self) -> str:
        with _said():
            return _topic_id(self._client)

    def lag(self, positions: Mapping[int, str]) -> dict[int, int]:
        with _said():
            pipeline = self._client.pipeline(transaction=False)
            for partition in positions:
                pipeline.xlen(_stream(partition))
                _ask(pipeline, "XRANGE", _stream(partition), "-", positions[partition] or "-", "COUNT", 1)
            answers = pipeline.execute()
        # What lies before the position is trimmed soon; the entry at the position stays.
        return {
            partition: answers[2 * place] - (1 if positions[partition] and answers[2 * place + 1] else 0)
            for place, partition in enumerate(positions)
        }

    def trim(self, partition: int, position: str) -> None:
        if position:
            with _said():
                _ask(self._client, "XTRIM", _stream(partition), "MINID", "=", position)
                self._dead_trim()

    def _dead_trim(self) -> None:
        """Dead letters hold events in plain: they go by age, as on Kafka."""
        if time.monotonic() >= self._dead_stale_s:
            oldest_ms = int(time.time() * 1_000) - _DEAD_KEPT_MS
            _ask(self._client, "XTRIM", _DEAD, "MINID", "=", f"{oldest_ms}-0")
            self._dead_stale_s = time.monotonic() + 60

    def dead_letter(self, payload: bytes, reason: str, *, partition: int, position: str) -> None:
        with _said():
            pipeline = self._client.pipeline(transaction=False)
            _ask(
                pipeline, "XADD", _DEAD, "MAXLEN", "~", DEAD_LETTERS, "*", _FIELD, payload,
                "reason", reason, "partition", partition, "position", position,
            )  # fmt: skip
            _ask(pipeline, "WAITAOF", 1, 0, _SYNC_TIMEOUT_MS)
            if not pipeline.execute()[1][0]:
                raise BusError("the server does not get its file synced")

    def close(self) -> None:
        self._client.close()

    def _place_verify(self, partition: int, position: str) -> None:
        """XREAD would skip what was trimmed, and wait for ever behind the end of a stream that lost entries. Who trims
        leaves the entry at the position; a stream remembers only what was deleted otherwise.
        """
        stream = _stream(partition)
        if not _ask(self._client, "XRANGE", stream, position, position):
            raise OffsetLost(partition, position)
        facts = _facts(_ask(self._client, "XINFO", "STREAM", stream))
        if _number(facts[b"max-deleted-entry-id"]) > _number(position):
            raise OffsetLost(partition, position)


def _client(url: str) -> "redis.Redis":
    client = redis.Redis.from_url(
        url, single_connection_client=True, retry=Retry(NoBackoff(), 0), socket_connect_timeout=2,
        socket_timeout=_SYNC_TIMEOUT_MS / 1_000 + 2, protocol=2,
    )  # fmt: skip
    # Answers as they come: what redis-py makes of these differs between its versions.
    for command in ("XREAD", "XINFO STREAM", "XRANGE"):
        client.response_callbacks.pop(command, None)
    return client


def _ask(client: Any, *words: str | bytes | int) -> Any:
    """A command that redis-py has no method for, or makes too much of."""
    return client.execute_command(*words)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise BusError(f"{type(error).__name__}: {error}") from error


def _append_only_verify(client: "redis.Redis") -> None:
    persistence: dict[str, Any] = client.info("persistence")
    if not int(persistence["aof_enabled"]):
        raise BusError("the server keeps no append-only file (appendonly yes); events must survive it")


def _run_id(client: "redis.Redis") -> str:
    server: dict[str, Any] = client.info("server")
    return str(server["run_id"])


def _topic_id(client: "redis.Redis") -> str:
    """Made by whoever comes first; it goes with the data."""
    pipeline = client.pipeline(transaction=False)
    pipeline.set(_ID, secrets.token_hex(8), nx=True)
    pipeline.get(_ID)
    found: bytes = pipeline.execute()[1]
    return found.decode()


def _stream(partition: int, topic: str = TOPIC) -> str:
    return f"{topic}:{{{partition}}}"


def _number(position: str | bytes) -> tuple[int, int]:
    text = position.decode() if isinstance(position, bytes) else position
    ms, _, sequence = text.partition("-")
    return int(ms), int(sequence)


def _facts(answer: list[Any]) -> dict[bytes, Any]:
    return dict(zip(answer[::2], answer[1::2], strict=True))


def _pairs(answer: Any) -> list[Any]:
    return answer or []
