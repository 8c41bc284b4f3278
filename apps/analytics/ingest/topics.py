"""How long the bus keeps what ingest reads."""

from datetime import timedelta

from ratelimiter.events.bus import TOPIC
from ratelimiter.events.topics import DEAD, TOPICS

_KEPT = {topic.name: timedelta(days=topic.keep_days) for topic in TOPICS}


def topic_kept() -> timedelta:
    return _KEPT[TOPIC]


def dead_letters_kept() -> timedelta:
    return _KEPT[DEAD]
