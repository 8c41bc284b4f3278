import os

import pytest
import redis

from ratelimiter.events.buses import producer_make, reader_make
from ratelimiter.events.spool import PARTITIONS


@pytest.fixture
def bus_url():
    """Redis Streams, empty."""
    url = os.environ["BUS_URL"]
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter("request-logs:*"):
            client.delete(key)
    return url


@pytest.fixture
def producer_new(bus_url):
    made = []

    def make():
        made.append(producer_make(bus_url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def everything(bus_url):
    """Reads all that is on the bus, in order within each partition."""

    def read():
        reader = reader_make(bus_url)
        positions = dict.fromkeys(range(PARTITIONS), "")
        messages = []
        while found := reader.read(positions, max_records=10_000, timeout_s=0.05):
            messages += found
            positions |= {message.partition: message.next for message in found}
        reader.close()
        return messages

    return read
