"""What is told on `billing-events`, on both kinds of bus: once per occasion, in order, and again after a kill."""

import json
from contextlib import closing
from datetime import timedelta

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone

from apps.analytics.ingest.database import alone, connect
from apps.billing import happenings
from apps.billing.happenings import Happened, happened, happenings_purge, happenings_relay, usage_relay
from apps.billing.models import Happening
from apps.billing.tasks import usage_post
from ratelimiter.events.spool import PARTITIONS
from ratelimiter.events.topics import BILLING
from tests.billing.buying import checkout, pay
from tests.billing.rows import H0, HOUR, count, settle

AT = timezone.now()


@pytest.fixture
def streams(transactional_db):
    client = redis.Redis.from_url(django_settings.EVENTS_URL)
    names = [f"{BILLING}:{{{partition}}}" for partition in range(PARTITIONS)]
    client.delete(*names)

    def heard():
        return [json.loads(fields[b"r"]) for name in names for _, fields in client.xrange(name)]

    yield heard
    client.delete(*names)
    client.close()


@pytest.fixture
def relay(metering):
    return lambda now=AT: happenings_relay(metering, now=now)


def say(key="k", tenant_id=1):
    happened(tenant_id, Happened.PLAN_CHANGED, key, at=AT, facts={"plan": "startup"})


def test_an_occasion_is_told_once(streams, relay):
    say()
    say()
    say("other")
    assert relay() == 2
    assert relay() == 0
    first, second = streams()
    assert (first["kind"], first["tenant"], first["facts"]) == ("plan.changed", 1, {"plan": "startup"})
    assert first["id"] != second["id"]


def test_what_rolled_back_is_not_told(streams, relay):
    with transaction.atomic():
        say()
        transaction.set_rollback(True)
    assert relay() == 0
    assert streams() == []


def test_after_a_kill_it_comes_again_under_the_same_id(streams, relay):
    say()
    relay()
    Happening.objects.update(sent_at=None)
    relay()
    assert len({one["id"] for one in streams()}) == 1
    assert len(streams()) == 2


def test_while_the_bus_is_away_it_waits(streams, relay, settings):
    say()
    settings.EVENTS_URL = "redis://127.0.0.1:1/0"
    assert relay() == 0
    assert Happening.objects.get().sent_at is None


def test_the_ledgers_rows_are_told_in_order_and_once(streams, relay, metering):
    for hour in range(3):
        count(metering, 5, H0 + hour * HOUR, 10 + hour)
    settle(metering, H0 + 3 * HOUR)
    usage_post()
    assert [usage_relay(metering), usage_relay(metering)] == [3, 0]
    assert [one["facts"]["checks"] for one in streams()] == [10, 11, 12]
    assert {one["kind"] for one in streams()} == {"usage.settled"}


def test_what_the_bus_did_not_take_is_sent_again_with_what_stands_behind_it(streams, relay, metering, monkeypatch):
    for hour in range(3):
        count(metering, 5, H0 + hour * HOUR, 10 + hour)
    settle(metering, H0 + 3 * HOUR)
    usage_post()
    send = happenings._send
    monkeypatch.setattr(
        happenings, "_send", lambda records: send(records)[:1] + send(records)[2:]
    )  # the second is lost
    assert usage_relay(metering) == 1
    monkeypatch.undo()
    assert usage_relay(metering) == 2
    assert usage_relay(metering) == 0


def test_while_one_relays_another_does_not(streams, relay):
    say()
    with closing(connect()) as other, alone(other, "billing.happenings") as is_mine:
        assert is_mine
        assert relay() == 0
    assert relay() == 1


def test_what_was_sent_is_kept_as_long_as_the_topic_keeps_it(streams, relay):
    say()
    relay()
    assert happenings_purge(now=AT + timedelta(days=29)) == 0
    assert happenings_purge(now=AT + timedelta(days=31)) == 1


def test_buying_a_plan_is_told(streams, relay, selling, free, page):
    pay(checkout(page))
    page("bought")
    relay(now=timezone.now())
    [told] = streams()
    assert (told["kind"], told["facts"]) == ("plan.changed", {"before": "free", "plan": "startup"})


def test_on_kafka_too(relay, kafka, settings):
    settings.EVENTS_URL = kafka.url
    say(tenant_id=3)
    say("other", tenant_id=3)
    assert relay() == 2
    consumer = Consumer({"bootstrap.servers": kafka.url.partition("://")[2], "group.id": "test"})
    consumer.assign([TopicPartition(BILLING, 3, 0)])
    records = consumer.consume(2, timeout=10)
    consumer.close()
    assert [json.loads(record.value())["facts"] for record in records] == [{"plan": "startup"}] * 2
