"""Both buses, on servers of the tests' own that may be killed, and what the interface has no words for."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from ratelimiter.events.bus import TOPIC
from ratelimiter.events.buses import producer_make, reader_make, topics_create
from ratelimiter.events.spool import PARTITIONS
from ratelimiter.events.topics import DEAD
from tests.topologies.parts import HOST, PASSWORD, Server, free_ports

BEGINNING = dict.fromkeys(range(PARTITIONS), "")


class Bus:
    """`server` can be killed and started."""

    def __init__(self, server, url):
        self.server = server
        self.url = url
        self._open = []

    def producer(self):
        self._open.append(producer_make(self.url))
        return self._open[-1]

    def reader(self):
        self._open.append(reader_make(self.url))
        return self._open[-1]

    def close(self):
        for one in self._open:
            one.close()


class Streams(Bus):
    def __init__(self, server, url=""):
        super().__init__(server, url or f"redis://:{PASSWORD}@{HOST}:{server.port}/0")

    def empty(self):
        for key in self.server.client.scan_iter(f"{TOPIC}:*"):
            self.server.client.delete(key)

    def records_lose(self, partition, before):
        self.server.client.execute_command("XTRIM", f"{TOPIC}:{{{partition}}}", "MINID", "=", before)

    def topic_remake(self):
        self.empty()

    def beyond(self, position):
        return f"{int(position.partition('-')[0]) + 60_000}-0"

    def dead_letters(self):
        entries = self.server.client.xrange(f"{TOPIC}:dead")
        return [
            (fields[b"r"], fields[b"reason"].decode(), int(fields[b"partition"]), fields[b"position"].decode())
            for _, fields in entries
        ]


class Kafka(Bus):
    def __init__(self, server):
        super().__init__(server, server.url)

    def records_lose(self, partition, before):
        self.server.records_delete(TOPIC, partition, int(before))

    def topic_remake(self):
        self.server.topics_delete(TOPIC)
        topics_create(self.url)
        self.server.leads(TOPIC)

    def beyond(self, position):
        return str(int(position) + 60_000)

    def dead_letters(self):
        consumer = Consumer({"bootstrap.servers": f"{HOST}:{self.server.port}", "group.id": "tests", "log_level": 0})
        place = TopicPartition(DEAD, 0, OFFSET_BEGINNING)
        first, end = consumer.get_watermark_offsets(place, timeout=10)
        consumer.assign([place])
        records = consumer.consume(end - first, timeout=20) if end > first else []
        consumer.close()
        found = []
        for record in records:
            headers = {name: value.decode() for name, value in record.headers()}
            found.append((record.value(), headers["reason"], int(headers["partition"]), headers["position"]))
        return found


def durable_server(folder):
    """A Valkey as `make run` has it for the bus."""
    return Server(folder, free_ports(1)[0], "--appendonly", "yes")


def put(producer, payloads, partition=0):
    failures = []
    for payload in payloads:
        producer.send(partition, payload, failures.append)
    assert producer.flush(20)
    assert failures == [None] * len(payloads)


def take(reader, expected, positions=None, **limits):
    """The next so many messages, and the positions behind them."""
    places = dict(BEGINNING if positions is None else positions)
    taken = []
    while len(taken) < expected:
        found = reader.read(places, max_records=limits.get("max_records", 500), timeout_s=5)
        assert found, f"{expected - len(taken)} records are missing"
        taken += found
        places |= {message.partition: message.next for message in found}
    return taken, places


def read_until_it_fails(reader, positions):
    for _ in range(20):
        reader.read(positions, max_records=100, timeout_s=1)
