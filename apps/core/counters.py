"""The process's way to the counters' Redis, for pages and publishing; the check path has a client of its own."""

from functools import cache

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_S = 0.5


@cache
def counters() -> Redis:
    """Safe for several threads. Never tries twice: what must happen is done again by a task or by the sweep."""
    return Redis.from_url(
        settings.COUNTERS_URL,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
