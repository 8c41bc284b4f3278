import os

import pytest
import redis

from ratelimiter.engine.prepare import encode, reply_decode
from ratelimiter.engine.scripts import check_script


class ScriptStore:
    """The real script on the real store, with the clock in the test's hands."""

    def __init__(self, client):
        self.client = client

    def run(self, batch, *, now_ms, not_after_ms=0):
        call = encode(batch, not_after_ms=not_after_ms, at_ms=now_ms)
        raw = self.client.eval(check_script().body, len(call.keys), *call.keys, call.argument, now_ms)
        return reply_decode(raw), call.offsets


@pytest.fixture(scope="session")
def counters():
    """A database of its own: counters of other tests are not looked at."""
    client = redis.Redis.from_url(os.environ["COUNTERS_URL"].removesuffix("/0") + "/1")
    yield client
    client.close()


@pytest.fixture
def store(counters):
    counters.flushdb()
    yield ScriptStore(counters)
    immortal = [key for key in counters.scan_iter("ratelimit:*") if counters.pttl(key) == -1]
    assert immortal == [], "a counter has no time to live"
