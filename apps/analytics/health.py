"""How ingest is doing, for Prometheus and reports."""

from apps.core.gauges import gauges_read, gauges_register

VIEW = "analytics_health"
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
    return gauges_read(VIEW, MEANINGS)


def collector_register() -> None:
    gauges_register("ratelimiter_ingest", VIEW, MEANINGS)
