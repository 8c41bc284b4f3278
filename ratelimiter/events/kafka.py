"""The bus on Apache Kafka: the topic `request-logs`, a partition for each of ours.

Delivered is what all in-sync replicas have. Positions are offsets, and no consumer group is told of them. Trimming is
the topic's retention. Order is what the count stands on, so a producer ends with its first failure: librdkafka would
otherwise send on behind what it gave up.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka import Message as Record
from confluent_kafka import Producer as Client
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from ratelimiter.events.bus import TOPIC, BusError, Done, Message, OffsetLost
from ratelimiter.events.kafka_address import kafka_options
from ratelimiter.events.kafka_log import Calm
from ratelimiter.events.spool import PARTITIONS
from ratelimiter.events.topics import DEAD, MAX_RECORD_BYTES, TOPICS, Topic

T = TypeVar("T")

STALL_S = 30.0
TIMEOUT_S = 5.0

_COMMON = {
    "client.id": "ratelimiter",
    "reconnect.backoff.max.ms": 1_000,
    "socket.keepalive.enable": True,
    "socket.timeout.ms": 20_000,
}
_PRODUCER = {
    "enable.idempotence": True,
    "enable.gapless.guarantee": True,  # a batch that is refused stops what stands behind it, too
    "acks": "all",
    "message.timeout.ms": 0,  # none: a record given up for its age would be overtaken by younger ones
    "compression.type": "lz4",
    "message.max.bytes": MAX_RECORD_BYTES,
    "queue.buffering.max.kbytes": 65_536,
}
_CONSUMER = {
    "group.id": "ratelimiter",  # the library wants one; nothing is joined or committed
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "check.crcs": True,
    "fetch.queue.backoff.ms": 20,
    "fetch.wait.max.ms": 50,  # a partition that is taken up has to wait for the request under way
    "queued.max.messages.kbytes": 32_768,
}
_LOST = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - their name for it

_log = logging.getLogger("ratelimiter.events.kafka")
_log.addFilter(Calm())


class KafkaProducer:
    """`send` collects, `poll` hands over. When nothing gets through for `stall_s` seconds, all under way fails."""

    def __init__(self, url: str, *, topic: str = TOPIC, stall_s: float = STALL_S) -> None:
        """Raises BusError."""
        self._topic = topic
        self._stall_s = stall_s
        self._waiting: deque[tuple[int, bytes, Done]] = deque()
        self._under_way = 0
        self._moved_at = 0.0
        self._failure: BusError | None = None
        self._closing = False
        self._client = _made(Client, _configured(url, _PRODUCER))
        try:
            _topic_verify(self._client, topic)
        except BusError:
            self.close()
            raise

    def send(self, partition: int, payload: bytes, done: Done) -> None:
        self._waiting.append((partition, payload, done))

    def poll(self, timeout_s: float) -> None:
        self._hand_over()
        self._reports_take(self._client.poll, min(timeout_s, self._stall_s))

    def flush(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        self.poll(0)
        while self._waiting or self._under_way:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self._hand_over()
            self._reports_take(self._client.flush, min(left_s, 0.1))
        return True

    def close(self) -> None:
        self._closing = True
        self._waiting.clear()
        self._client.purge()
        self._client.close()

    def _hand_over(self) -> None:
        if not self._under_way:
            self._moved_at = time.monotonic()
        while self._waiting and not self._failure:
            partition, payload, done = self._waiting[0]
            try:
                self._client.produce(
                    self._topic, payload, partition=partition, on_delivery=partial(self._reported, done)
                )
            except BufferError:  # full: the rest waits for a later call
                return
            except KafkaException as error:
                self._failure = _said(error)
                break
            self._under_way += 1
            self._waiting.popleft()
        while self._waiting:
            self._waiting.popleft()[2](self._failure)

    def _reported(self, done: Done, error: KafkaError | None, record: Record) -> None:
        self._under_way -= 1
        self._moved_at = time.monotonic()
        if self._closing:
            return
        if error is not None:
            self._failure = self._failure or BusError(f"{error.name()}: {error.str()}")
        done(None if error is None else self._failure)

    def _reports_take(self, wait: Callable[[float], int], timeout_s: float) -> None:
        try:
            wait(timeout_s)
        except KafkaException as error:  # fatal: librdkafka gives up, and the reports follow
            self._failure = self._failure or _said(error)
        if self._under_way and self._failure is None and time.monotonic() - self._moved_at >= self._stall_s:
            self._failure = BusError(f"Kafka took nothing for {self._stall_s:g} s")
        if self._under_way and self._failure is not None:
            self._client.purge()  # reported by the next poll


class KafkaReader:
    def __init__(self, url: str) -> None:
        """Raises BusError."""
        self._options = _configured(url, {})
        self._consumer = _made(Consumer, _configured(url, _CONSUMER) | {"error_cb": self._heard})
        self._admin = _made(AdminClient, self._options)
        self._places: dict[int, str] = {}  # where the consumer goes on by itself
        self._complaint: KafkaError | None = None
        self._dead: Client | None = None
        try:
            _topic_verify(self._consumer)
        except BusError:
            self.close()
            raise

    def read(self, positions: Mapping[int, str], *, max_records: int, timeout_s: float) -> list[Message]:
        self._complaint = None
        try:
            self._assign(positions)
            # `consume` waits for the last record that it may take, not for the first.
            records = self._consumer.consume(1, timeout_s)
            if records and max_records > 1:
                records += self._consumer.consume(max_records - 1, 0)
            messages = [message for record in records if (message := self._message(record)) is not None]
        except KafkaException as error:
            self._forget()
            raise _said(error) from error
        except BusError:
            self._forget()
            raise
        if not messages and self._complaint:
            raise BusError(f"{self._complaint.name()}: {self._complaint.str()}")
        return messages

    def topic_id(self) -> str:
        found = self._admin.describe_topics(TopicCollection([TOPIC]), request_timeout=TIMEOUT_S)
        return str(_waited(found[TOPIC]).topic_id)

    def lag(self, positions: Mapping[int, str]) -> dict[int, int]:
        first = self._watermarks(positions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        end = self._watermarks(positions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {
            partition: max(0, end[partition] - max(first[partition], int(position or 0)))
            for partition, position in positions.items()
        }

    def trim(self, partition: int, position: str) -> None:
        """Nothing: retention does it."""

    def dead_letter(self, payload: bytes, reason: str, *, partition: int, position: str) -> None:
        if self._dead is None:
            self._dead = _made(Client, self._options | _PRODUCER)
        outcome: list[KafkaError | None] = []
        headers: list[tuple[str, str | bytes | None]] = [
            ("reason", reason),
            ("partition", str(partition)),
            ("position", position),
        ]
        try:
            self._dead.produce(DEAD, payload, headers=headers, on_delivery=lambda error, _: outcome.append(error))
            self._dead.flush(TIMEOUT_S)
        except (KafkaException, BufferError) as error:
            self._dead_close()
            raise BusError(f"a dead letter could not be sent: {error}") from error
        if outcome != [None]:
            self._dead_close()
            raise BusError(f"a dead letter was not delivered: {outcome[0] if outcome else 'no answer'}")

    def close(self) -> None:
        self._dead_close()
        self._consumer.close()

    def _assign(self, positions: Mapping[int, str]) -> None:
        """Only what has moved is fetched anew; the rest keeps what was fetched ahead."""
        gone = [partition for partition, place in self._places.items() if positions.get(partition) != place]
        if gone:
            self._consumer.incremental_unassign([TopicPartition(TOPIC, partition) for partition in gone])
            for partition in gone:
                del self._places[partition]
        new = {partition: position for partition, position in positions.items() if partition not in self._places}
        if new:
            self._consumer.incremental_assign(
                [
                    TopicPartition(TOPIC, partition, int(position) if position else OFFSET_BEGINNING)
                    for partition, position in new.items()
                ]
            )
            self._places |= new

    def _message(self, record: Record) -> Message | None:
        """None for what was under way from a partition that is read no longer. Offsets have no holes here: nothing is
        compacted, and there are no transactions.
        """
        partition, offset, payload, error = record.partition(), record.offset(), record.value(), record.error()
        if partition is not None and partition >= 0 and partition not in self._places:
            return None
        if error is not None:
            if error.code() in _LOST and partition in self._places:
                raise OffsetLost(partition, self._places[partition])
            raise BusError(f"{error.name()}: {error.str()}")
        assert partition is not None
        assert offset is not None
        place = self._places[partition]
        if place and offset != int(place):
            raise OffsetLost(partition, place)
        self._places[partition] = str(offset + 1)
        return Message(partition, str(offset), str(offset + 1), payload or b"")

    def _forget(self) -> None:
        """What was taken from the consumer and not returned is fetched again."""
        self._places.clear()
        self._consumer.unassign()

    def _heard(self, error: KafkaError) -> None:
        self._complaint = error

    def _watermarks(self, partitions: Mapping[int, str], which: OffsetSpec) -> dict[int, int]:
        asked = {TopicPartition(TOPIC, partition): which for partition in partitions}
        found = self._admin.list_offsets(asked, request_timeout=TIMEOUT_S)
        return {place.partition: _waited(future).offset for place, future in found.items()}

    def _dead_close(self) -> None:
        if self._dead is not None:
            self._dead.purge()
            self._dead.close()
            self._dead = None


def topics_create(url: str) -> list[str]:
    """The names of those that were not there. What is there keeps its settings. Raises BusError, also when a topic has
    another number of partitions: events would be looked for where they are not.
    """
    admin = _made(AdminClient, _configured(url, {}))
    try:
        known = admin.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise _said(error) from error
    for topic in TOPICS:
        if topic.name in known:
            _partitions_verify(topic.name, len(known[topic.name].partitions))
    missing = [topic for topic in TOPICS if topic.name not in known]
    if not missing:
        return []
    made = []
    for name, future in admin.create_topics([_new(topic) for topic in missing], request_timeout=TIMEOUT_S).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was faster
                raise _said(error) from error
        else:
            made.append(name)
    _seen(admin, made)
    return made


def _seen(admin: AdminClient, names: list[str]) -> None:
    """Returns when those who ask for topics find these."""
    deadline = time.monotonic() + TIMEOUT_S
    while not set(names) <= admin.list_topics(timeout=TIMEOUT_S).topics.keys():
        if time.monotonic() > deadline:
            raise BusError(f"the topics {', '.join(names)} were created and are not to be seen")
        time.sleep(0.05)


def _new(topic: Topic) -> NewTopic:
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(topic.keep_days * 86_400_000),
        "retention.bytes": "-1",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "unclean.leader.election.enable": "false",  # would lose what was delivered
    }
    return NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=-1, config=config)


def _configured(url: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {**_COMMON, **kafka_options(url), **settings}
    except ValueError as error:
        raise BusError(str(error)) from None


def _made(kind: Callable[..., T], configuration: dict[str, Any]) -> T:
    try:
        return kind(configuration, logger=_log)
    except KafkaException as error:  # an option that librdkafka does not know, or a file that it cannot read
        raise _said(error) from error


def _topic_verify(client: Client | Consumer, topic: str = TOPIC) -> None:
    """Asks for all topics, because asking for one by name may create it."""
    try:
        topics = client.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise _said(error) from error
    if topic not in topics:
        raise BusError(f"there is no topic {topic}; `manage.py topics_create` makes it")
    _partitions_verify(topic, len(topics[topic].partitions))


def _partitions_verify(topic: str, found: int) -> None:
    if topic != DEAD and found != PARTITIONS:
        raise BusError(f"the topic {topic} has {found} partitions and must have {PARTITIONS}")


def _waited(future: Any) -> Any:
    try:
        return future.result()
    except KafkaException as error:
        raise _said(error) from error


def _said(error: KafkaException) -> BusError:
    reason = error.args[0]
    return BusError(f"{reason.name()}: {reason.str()}" if isinstance(reason, KafkaError) else str(reason))
