"""How ingest is doing, for Prometheus: read from the database when the portal's metrics are asked for, so it is told
also while no ingest runs at all.
"""

from collections.abc import Iterator

from django.db import Error, connection
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

MEANINGS = {
    "lag_s": ("lag_seconds", "Age of what was counted last, in the partition that is furthest behind"),
    "missing": ("missing_events", "Events whose numbers never came, of the last 90 days"),
    "dead_letters": ("dead_letters", "Records that could not be counted, of the last 90 days"),
    "stopped_partitions": ("stopped_partitions", "Partitions that wait for an operator: manage.py ingest --restart"),
    "left_out": ("left_out_doors", "Doors that fell silent, whose checks the settled hours may lack"),
    "unsettled_s": ("unsettled_seconds", "Age of the last hour that is known to be whole"),
}


def ingest_health() -> dict[str, float]:
    """Raises django.db.Error."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(MEANINGS)} FROM public.analytics_health")  # noqa: S608 - our own names
        row = cursor.fetchone()
    assert row is not None
    return dict(zip(MEANINGS, map(float, row), strict=True))


class HealthCollector(Collector):
    def describe(self) -> Iterator[Metric]:
        """Names alone: registering must not ask a database that may not be there yet."""
        return (GaugeMetricFamily(f"ratelimiter_ingest_{name}", meaning) for name, meaning in MEANINGS.values())

    def collect(self) -> Iterator[Metric]:
        try:
            health = ingest_health()
        except Error:  # a metric that is absent says so
            return
        finally:
            connection.close()  # the thread that answers Prometheus is nobody's request
        for name, value in health.items():
            metric, meaning = MEANINGS[name]
            yield GaugeMetricFamily(f"ratelimiter_ingest_{metric}", meaning, value=value)


def collector_register() -> None:
    REGISTRY.register(HealthCollector())
