"""The bus that a URL names. Each kind is loaded only where it is used."""

from ratelimiter.events.bus import TOPIC, BusError, Producer, Reader

_KAFKA = "kafka"
_REDIS = ("redis", "rediss", "unix")


def producer_make(url: str, topic: str = TOPIC) -> Producer:
    """Raises BusError, also when the bus does not answer."""
    if _scheme(url) in _REDIS:
        from ratelimiter.events.streams import StreamsProducer

        return StreamsProducer(url, topic=topic)
    if _scheme(url) == _KAFKA:
        from ratelimiter.events.kafka import KafkaProducer

        return KafkaProducer(url, topic=topic)
    raise _unknown(url)


def reader_make(url: str) -> Reader:
    """Raises BusError, also when the bus does not answer."""
    if _scheme(url) in _REDIS:
        from ratelimiter.events.streams import StreamsReader

        return StreamsReader(url)
    if _scheme(url) == _KAFKA:
        from ratelimiter.events.kafka import KafkaReader

        return KafkaReader(url)
    raise _unknown(url)


def topics_create(url: str) -> list[str]:
    """The names of the topics that were made now; none where streams make themselves. Raises BusError."""
    if _scheme(url) in _REDIS:
        return []
    if _scheme(url) == _KAFKA:
        from ratelimiter.events import kafka

        return kafka.topics_create(url)
    raise _unknown(url)


def _scheme(url: str) -> str:
    return url.partition("://")[0]


def _unknown(url: str) -> BusError:
    return BusError(f"{_scheme(url)!r} is no kind of bus")
