"""The process's way to the counters' Redis, for pages and publishing; the check path has a client of its own."""

from functools import cache

from django.conf import settings
from redis import Redis

from ratelimiter.store.client import counters_client

TIMEOUT_MS = 500


@cache
def counters() -> Redis:
    """Safe for several threads. Never tries twice: what must happen is done again by a task or by the sweep."""
    return counters_client(settings.COUNTERS_URL, timeout_ms=TIMEOUT_MS)
