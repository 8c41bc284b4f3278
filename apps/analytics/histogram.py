"""Percentiles of what the latency buckets hold."""

from collections.abc import Sequence

from apps.analytics.rollups import LATENCY_BOUNDS_US


def percentile_us(latency: Sequence[int], percent: float) -> float | None:
    """Interpolated inside its bucket, on the bucket's own logarithmic scale; off by less than the bucket is wide (√2).

    The last bucket is open: what falls into it reads as its lower bound. None where nothing was counted.
    """
    total = sum(latency)
    if not total:
        return None
    wanted, below = total * percent / 100, 0
    for bucket, count in enumerate(latency):
        if count and below + count >= wanted:
            return _within(bucket, (wanted - below) / count)
        below += count
    return float(LATENCY_BOUNDS_US[-1])


def _within(bucket: int, part: float) -> float:
    if bucket == 0:
        return LATENCY_BOUNDS_US[0] * part
    low = LATENCY_BOUNDS_US[bucket - 1]
    if bucket == len(LATENCY_BOUNDS_US):
        return float(low)
    return float(low * (LATENCY_BOUNDS_US[bucket] / low) ** part)
