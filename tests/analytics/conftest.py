import os

import pytest
import redis

from tests.analytics.rig import Bus, Counting


@pytest.fixture
def bus(transactional_db):
    """Redis Streams, empty, and the database that ingest writes to."""
    url = os.environ["BUS_URL"]
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter("request-logs:*"):
            client.delete(key)
    made = Bus(url)
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
