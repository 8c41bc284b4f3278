"""What Kafka alone has: its URL, its topics, and how its producer ends."""

import os
import subprocess
import sys
from io import StringIO

import pytest
from confluent_kafka.admin import ConfigResource, NewTopic, ResourceType
from django.core.management import CommandError, call_command

from ratelimiter.events.bus import TOPIC, BusError
from ratelimiter.events.buses import producer_make, reader_make, topics_create
from ratelimiter.events.kafka import KafkaProducer
from ratelimiter.events.kafka_address import kafka_options
from ratelimiter.events.topics import ALERTS, BILLING, DEAD, MAX_RECORD_BYTES, TOPICS
from tests.events.rig import take

DAY_MS = 86_400_000


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "options"),
        [
            ("kafka://a", {"bootstrap.servers": "a:9092"}),
            ("kafka://a,b:1,[::1]:2", {"bootstrap.servers": "a:9092,b:1,[::1]:2"}),
            (
                "kafka://a?security.protocol=ssl&ssl.ca.location=/ca",
                {"bootstrap.servers": "a:9092", "security.protocol": "ssl", "ssl.ca.location": "/ca"},
            ),
            (
                "kafka://me:p%40ss@a?sasl.mechanism=SCRAM-SHA-512",
                {
                    "bootstrap.servers": "a:9092", "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
                    "sasl.username": "me", "sasl.password": "p@ss",
                },
            ),
        ],
    )  # fmt: skip
    def test_says_how_the_brokers_are_reached(self, url, options):
        assert kafka_options(url) == options

    @pytest.mark.parametrize(
        "url",
        [
            "kafka://", "kafka://a,", "kafka://a:x", "kafka://a/topic", "redis://a", "kafka://a?acks=0",
            "kafka://me:sesame@a?enable.idempotence=false", "kafka://me:sesame@[a",
        ],
    )  # fmt: skip
    def test_that_makes_no_sense_is_refused_without_showing_a_password(self, url):
        with pytest.raises(ValueError, match="events") as caught:
            kafka_options(url)
        assert "sesame" not in str(caught.value)

    @pytest.mark.parametrize("make", [producer_make, reader_make, topics_create])
    def test_with_an_option_that_librdkafka_refuses_is_an_error_of_the_bus(self, make):
        with pytest.raises(BusError, match=r"security\.protocol"):
            make("kafka://127.0.0.1:1?security.protocol=none")


def test_a_broker_that_is_away_does_not_flood_the_log(caplog):
    for _ in range(2):
        with pytest.raises(BusError):
            producer_make("kafka://127.0.0.1:1")
    told = [line.getMessage() for line in caplog.records if line.name == "ratelimiter.events.kafka"]
    assert len(told) < 10
    assert all("experimental" not in line for line in told)


def test_a_bus_on_redis_never_loads_librdkafka():
    code = (
        "import sys\n"
        "from ratelimiter.events.buses import producer_make, reader_make, topics_create\n"
        f"producer_make({os.environ['BUS_URL']!r}).close()\n"
        f"reader_make({os.environ['BUS_URL']!r}).close()\n"
        f"assert topics_create({os.environ['BUS_URL']!r}) == []\n"
        "assert not any(name.startswith('confluent_kafka') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class TestTopics:
    def test_are_made_once_with_the_retention_of_the_architecture(self, kafka):
        kafka.topics_delete(TOPIC, BILLING)
        assert sorted(topics_create(kafka.url)) == [BILLING, TOPIC]
        assert topics_create(kafka.url) == []
        found = kafka.topics()
        assert {topic.name: len(found[topic.name].partitions) for topic in TOPICS} == {
            TOPIC: 16, BILLING: 16, ALERTS: 16, DEAD: 1,
        }  # fmt: skip
        kept = {}
        for name in (TOPIC, BILLING, ALERTS):
            resource = ConfigResource(ResourceType.TOPIC, name)
            settings = kafka.admin.describe_configs([resource])[resource].result()
            kept[name] = int(settings["retention.ms"].value) / DAY_MS
            assert settings["cleanup.policy"].value == "delete"
        assert kept == {TOPIC: 7, BILLING: 30, ALERTS: 3}

    def test_with_another_number_of_partitions_are_refused_by_everybody(self, kafka):
        kafka.topics_delete(TOPIC)
        kafka.admin.create_topics([NewTopic(TOPIC, 4, 1)])[TOPIC].result()
        kafka.leads(TOPIC)
        for make in (topics_create, producer_make, reader_make):
            with pytest.raises(BusError, match="has 4 partitions and must have 16"):
                make(kafka.url)

    def test_that_are_missing_are_named_together_with_their_remedy(self, kafka):
        kafka.topics_delete(TOPIC)
        for make in (producer_make, reader_make):
            with pytest.raises(BusError, match="topics_create"):
                make(kafka.url)
        assert TOPIC not in kafka.topics()

    def test_are_made_by_a_command(self, kafka, settings):
        settings.EVENTS_URL = kafka.url
        kafka.topics_delete(ALERTS)
        for said in (f"made {ALERTS}\n", "every topic is there\n"):
            out = StringIO()
            call_command("topics_create", stdout=out)
            assert out.getvalue() == said
        settings.EVENTS_URL = "kafka://127.0.0.1:1"
        with pytest.raises(CommandError, match="_TRANSPORT"):
            call_command("topics_create")


class TestAProducer:
    def test_sends_nothing_on_behind_a_record_that_was_refused(self, kafka):
        """The broker refuses the eleventh; nothing after it may be on the bus, or it would be taken for older."""
        kafka.topics_delete(TOPIC)
        kafka.admin.create_topics([NewTopic(TOPIC, 16, 1, config={"max.message.bytes": "2000"})])[TOPIC].result()
        kafka.leads(TOPIC)
        producer, told = KafkaProducer(kafka.url), {}
        for number in range(40):
            payload = os.urandom(5_000) if number == 10 else b"%d" % number
            producer.send(0, payload, lambda error, number=number: told.setdefault(number, error))
            producer.poll(0.02)
        assert producer.flush(20)
        producer.close()
        delivered = [number for number in sorted(told) if told[number] is None]
        assert sorted(told) == list(range(40))
        assert delivered == list(range(len(delivered)))
        assert len(delivered) <= 10
        reader = reader_make(kafka.url)
        held, _ = take(reader, len(delivered), {0: ""})
        held += reader.read({0: str(len(held))}, max_records=100, timeout_s=1)
        reader.close()
        numbers = [int(message.payload) for message in held]
        assert numbers == list(range(len(numbers)))
        assert len(delivered) <= len(numbers) <= 10

    def test_refuses_what_is_too_large_for_it_and_all_that_follows(self, kafka):
        producer, told = producer_make(kafka.url), []
        for payload in (b"small", os.urandom(MAX_RECORD_BYTES + 1_000), b"small"):
            producer.send(0, payload, told.append)
        assert producer.flush(20)
        producer.close()
        assert told[0] is None or isinstance(told[0], BusError)
        assert [type(error) for error in told[1:]] == [BusError, BusError]

    def test_takes_the_sums_of_very_many_events_in_one_piece(self, kafka):
        producer, told, payload = producer_make(kafka.url), [], os.urandom(5_000_000)
        producer.send(0, payload, told.append)
        assert producer.flush(20)
        producer.close()
        assert told == [None]
        reader = reader_make(kafka.url)
        [message] = reader.read({0: ""}, max_records=10, timeout_s=10)
        reader.close()
        assert message.payload == payload

    @pytest.mark.slow
    def test_gives_up_everything_when_nothing_gets_through(self, kafka):
        producer, told = KafkaProducer(kafka.url, stall_s=5), []
        producer.send(0, b"before", told.append)
        assert producer.flush(20)
        kafka.freeze()
        for number in range(100):
            producer.send(number % 16, b"%d" % number, told.append)
        assert producer.flush(20)
        producer.send(0, b"after", told.append)
        producer.poll(0)
        kafka.thaw()
        assert told[0] is None
        assert [str(error) for error in told[1:]] == ["Kafka took nothing for 5 s"] * 101
        producer.close()

    def test_that_is_closed_says_nothing_more(self, kafka):
        producer, told = KafkaProducer(kafka.url), []
        kafka.freeze()
        producer.send(0, b"x", told.append)
        producer.poll(0)
        producer.close()
        kafka.thaw()
        assert told == []
