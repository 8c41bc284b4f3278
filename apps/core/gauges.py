"""Gauges for Prometheus that are one row of a view: read when they are asked for, so they are told also while nobody
works on what they measure.
"""

from collections.abc import Iterator, Mapping

from django.db import Error, connection
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

Meanings = Mapping[str, tuple[str, str]]  # column → (name after the prefix, what it means)


def gauges_read(view: str, meanings: Meanings) -> dict[str, float]:
    """By column. Raises django.db.Error."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(meanings)} FROM public.{view}")  # noqa: S608 - our own names
        row = cursor.fetchone()
    assert row is not None
    return dict(zip(meanings, map(float, row), strict=True))


def gauges_register(prefix: str, view: str, meanings: Meanings) -> None:
    REGISTRY.register(_Gauges(prefix, view, meanings))


class _Gauges(Collector):
    def __init__(self, prefix: str, view: str, meanings: Meanings) -> None:
        self._prefix, self._view, self._meanings = prefix, view, meanings

    def describe(self) -> Iterator[Metric]:
        """Names alone: registering must not ask a database that may not be there yet."""
        return (GaugeMetricFamily(f"{self._prefix}_{name}", meaning) for name, meaning in self._meanings.values())

    def collect(self) -> Iterator[Metric]:
        try:
            values = gauges_read(self._view, self._meanings)
        except Error:  # a metric that is absent says so
            return
        finally:
            connection.close()  # the thread that answers Prometheus is nobody's request
        for column, value in values.items():
            name, meaning = self._meanings[column]
            yield GaugeMetricFamily(f"{self._prefix}_{name}", meaning, value=value)
