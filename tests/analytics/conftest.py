import os
from types import SimpleNamespace

import pytest
import redis

from tests.analytics.rig import Bus, Counting
from tests.analytics.rows import Rows, ingesting
from tests.events.rig import Kafka, Streams


@pytest.fixture
def bus(request, transactional_db):
    """Redis Streams, or what BOTH asks for, empty, and the database that ingest writes to."""
    if getattr(request, "param", "streams") == "kafka":
        made = Bus(Kafka(request.getfixturevalue("kafka")))
        yield made
        made.close()
        return
    url = os.environ["BUS_URL"]
    with redis.Redis.from_url(url) as client:
        carrier = Streams(SimpleNamespace(client=client), url)
        carrier.empty()
        made = Bus(carrier)
        yield made
        made.close()


@pytest.fixture
def counting(bus):
    """Makes workers; they end with the test."""
    made = []

    def make(**limits):
        made.append(Counting(bus.url, **limits))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ingest():
    """A connection with ingest's role."""
    with ingesting() as connection:
        yield connection


@pytest.fixture
def rows(ingest, alice):
    """Writes what ingest would have counted for Alice."""
    return Rows(ingest, alice.tenant_id)


@pytest.fixture
def bobs_rows(ingest, bob):
    return Rows(ingest, bob.tenant_id)
