"""What either bus promises to the shipper and to ingest."""

import threading
import time

import pytest

from ratelimiter.events.bus import BusError, OffsetLost
from ratelimiter.events.spool import PARTITIONS
from tests.events.rig import BEGINNING, Kafka, Streams, durable_server, put, read_until_it_fails, take


@pytest.fixture(scope="session")
def _valkey(tmp_path_factory):
    server = durable_server(tmp_path_factory.mktemp("bus"))
    yield server
    server.stop()


@pytest.fixture(params=["streams", "kafka"])
def bus(request):
    """Each bus in turn, empty; its server may be killed."""
    if request.param == "kafka":
        made = Kafka(request.getfixturevalue("kafka"))
    else:
        valkey = request.getfixturevalue("_valkey")
        valkey.revive()
        valkey.client.flushall()
        made = Streams(valkey)
    yield made
    made.close()


def payloads(count, begin=0):
    return [b"%d" % number for number in range(begin, begin + count)]


def test_each_partition_keeps_its_order_and_has_what_was_sent_to_it(bus):
    producer, told = bus.producer(), []
    for number in range(100):
        for partition in range(PARTITIONS):
            producer.send(partition, b"%d %d" % (partition, number), told.append)
        producer.poll(0)
    assert producer.flush(20)
    assert told == [None] * 100 * PARTITIONS
    messages, _ = take(bus.reader(), 100 * PARTITIONS)
    for partition in range(PARTITIONS):
        held = [message.payload for message in messages if message.partition == partition]
        assert held == [b"%d %d" % (partition, number) for number in range(100)]


def test_a_payload_comes_out_as_it_went_in(bus):
    odd = [bytes(range(256)) * 200, b"\0", "ü\r\n".encode()]
    put(bus.producer(), odd, partition=15)
    assert [message.payload for message in take(bus.reader(), 3)[0]] == odd


def test_another_reader_goes_on_where_one_has_stopped(bus):
    put(bus.producer(), payloads(100))
    seen, positions = [], BEGINNING
    for _ in range(10):
        messages, positions = take(bus.reader(), 10, positions, max_records=160)
        seen += [message.payload for message in messages]
        if len(seen) == 100:
            break
    assert seen == payloads(100)


def test_from_one_position_the_same_follows_each_time_and_nothing_twice(bus):
    put(bus.producer(), payloads(50))
    reader = bus.reader()
    first, _ = take(reader, 50)
    middle = {0: first[19].next}
    for _ in range(3):
        again, _ = take(reader, 30, middle)
        assert again == first[20:]
    assert take(reader, 50)[0] == first
    assert len({message.position for message in first}) == 50


def test_a_reader_takes_the_partitions_that_it_is_asked_for_and_no_others(bus):
    producer = bus.producer()
    for partition in range(4):
        put(producer, payloads(5, begin=partition * 10), partition)
    reader = bus.reader()
    assert {message.partition for message in take(reader, 10, {1: "", 2: ""})[0]} == {1, 2}
    assert {message.partition for message in take(reader, 10, {2: "", 3: ""})[0]} == {2, 3}
    assert [message.payload for message in take(reader, 5, {0: ""})[0]] == payloads(5)


def test_a_reader_waits_for_the_first_record_and_not_for_the_last(bus):
    producer, reader = bus.producer(), bus.reader()
    assert reader.read(BEGINNING, max_records=100, timeout_s=0.2) == []
    later = threading.Timer(0.5, put, (producer, [b"late"]))
    later.start()
    began = time.monotonic()
    assert [message.payload for message in reader.read(BEGINNING, max_records=100, timeout_s=30)] == [b"late"]
    assert time.monotonic() - began < 10
    later.join()


class TestWhatIsGone:
    def test_is_said_and_not_skipped(self, bus):
        producer, reader = bus.producer(), bus.reader()
        put(producer, payloads(20), partition=3)
        put(producer, payloads(20), partition=4)
        messages, _ = take(reader, 20, {3: ""})
        bus.records_lose(3, before=messages[15].position)
        for asked in (reader, bus.reader()):
            with pytest.raises(OffsetLost) as caught:
                read_until_it_fails(asked, {3: messages[9].next, 4: ""})
            assert (caught.value.partition, caught.value.position) == (3, messages[9].next)
        assert len(take(reader, 20, {4: ""})[0]) == 20

    def test_is_not_missed_by_who_has_passed_it(self, bus):
        put(bus.producer(), payloads(20))
        messages, _ = take(bus.reader(), 20)
        bus.records_lose(0, before=messages[15].position)
        rest, _ = take(bus.reader(), 4, {0: messages[15].next})
        assert rest == messages[16:]

    def test_a_position_behind_the_end_is_one_that_was_lost(self, bus):
        put(bus.producer(), payloads(3))
        reader = bus.reader()
        messages, _ = take(reader, 3)
        with pytest.raises(OffsetLost):
            read_until_it_fails(reader, {0: bus.beyond(messages[-1].next)})

    def test_trimming_loses_nothing_that_follows_the_position(self, bus):
        put(bus.producer(), payloads(20))
        reader = bus.reader()
        messages, _ = take(reader, 20)
        reader.trim(0, messages[9].next)
        assert take(reader, 10, {0: messages[9].next})[0] == messages[10:]
        assert take(bus.reader(), 10, {0: messages[9].next})[0] == messages[10:]


def test_a_topic_made_anew_has_another_id(bus):
    put(bus.producer(), [b"x"])
    reader = bus.reader()
    before = reader.topic_id()
    assert before == bus.reader().topic_id() != ""
    bus.topic_remake()
    after = reader.topic_id()
    assert after == bus.reader().topic_id()
    assert after not in {before, ""}


def test_lag_is_what_stands_behind_each_position(bus):
    producer, reader = bus.producer(), bus.reader()
    assert reader.lag(BEGINNING) == dict.fromkeys(range(PARTITIONS), 0)
    put(producer, payloads(30), partition=1)
    put(producer, payloads(5), partition=2)
    assert reader.lag({0: "", 1: "", 2: ""}) == {0: 0, 1: 30, 2: 5}
    messages, positions = take(reader, 35, {1: "", 2: ""})
    middle = [message for message in messages if message.partition == 1][11]
    reader.trim(1, middle.next)
    reader.trim(2, positions[2])
    assert reader.lag({1: middle.next, 2: positions[2]}) == {1: 18, 2: 0}


@pytest.mark.slow
class TestAServerThatIsKilled:
    def test_keeps_what_was_delivered_and_the_dead_letters(self, bus):
        put(bus.producer(), payloads(100), partition=7)
        reader = bus.reader()
        reader.dead_letter(b"\xff", "nobody can read it: ü", partition=7, position="12")
        reader.dead_letter(b"", "empty", partition=0, position="0")
        bus.server.kill()
        bus.server.start()
        assert [message.payload for message in take(bus.reader(), 100)[0]] == payloads(100)
        assert bus.dead_letters() == [(b"\xff", "nobody can read it: ü", 7, "12"), (b"", "empty", 0, "0")]

    def test_leaves_no_record_without_a_word_and_none_out_of_order(self, bus):
        """As a shipper does: after a failure another producer, from the first record that was not delivered."""
        total, outcome, sent_again = 4_000, {}, 0
        producer = bus.producer()
        killer = threading.Timer(0.1, bus.server.kill)
        for number in range(total):
            producer.send(number % 2, b"%d" % number, lambda error, number=number: outcome.setdefault(number, error))
            if number == 500:
                killer.start()
            if number % 50 == 0:
                producer.poll(0.005)
        killer.join()
        assert len(outcome) < total or any(outcome.values())  # it died in the middle
        bus.server.start()
        deadline = time.monotonic() + 60
        while not producer.flush(5):
            assert time.monotonic() < deadline
        assert sorted(outcome) == list(range(total))
        delivered = [number for number, error in outcome.items() if error is None]
        undelivered = [
            number
            for partition in (0, 1)
            for number in range(min((n for n in outcome if n % 2 == partition and outcome[n]), default=total), total)
            if number % 2 == partition
        ]
        if undelivered:
            another = bus.producer()
            for partition in (0, 1):
                again = [b"%d" % number for number in undelivered if number % 2 == partition]
                put(another, again, partition)
                sent_again += len(again)
        assert len(delivered) + sent_again >= total
        reader, places, numbers = bus.reader(), {0: "", 1: ""}, {0: [], 1: []}
        while found := reader.read(places, max_records=1_000, timeout_s=2):
            for message in found:
                numbers[message.partition].append(int(message.payload))
                places[message.partition] = message.next
        for partition, held in numbers.items():
            assert list(dict.fromkeys(held)) == list(range(partition, total, 2))  # by first appearance

    def test_is_an_error_to_readers_until_it_is_back(self, bus):
        put(bus.producer(), payloads(3))
        reader = bus.reader()
        _, positions = take(reader, 3)
        bus.server.kill()
        with pytest.raises(BusError):
            read_until_it_fails(reader, positions)
        with pytest.raises(BusError):
            reader.topic_id()
        with pytest.raises(BusError):
            bus.producer()
        bus.server.start()
        put(bus.producer(), payloads(3, begin=3))
        assert [message.payload for message in take(bus.reader(), 3, positions)[0]] == payloads(3, begin=3)
