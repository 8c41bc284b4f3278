"""What Prometheus sees. The hot path counts in plain integers; once a second they are added to the shared files of
prometheus_client's multiprocess mode, so that any worker can answer for all.
"""

from collections import Counter as Counts
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess

from ratelimiter.engine.decision import Decision

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Tally:
    """Counts since the start of the process; they only grow."""

    __slots__ = ("allowed", "answers", "degraded", "denied", "latency_us", "truncated")

    def __init__(self) -> None:
        self.answers: Counts[int] = Counts()  # by HTTP status
        self.allowed = 0
        self.denied = 0
        self.degraded = 0
        self.truncated = 0
        self.latency_us = 0

    def decision(self, decision: Decision, latency_us: int) -> None:
        self.latency_us += latency_us
        if decision.allowed:
            self.allowed += 1
        else:
            self.denied += 1
        if decision.degraded:
            self.degraded += 1
        if decision.truncated:
            self.truncated += 1


Reading = Callable[[], float]


class Metrics:
    def __init__(self, tally: Tally) -> None:
        registry = CollectorRegistry()
        self._tally = tally
        self._answers = Counter(
            "ratelimiter_door_answers", "Answers by HTTP status", ["status"], registry=registry
        )  # fmt: skip
        self._seen: Counts[int] = Counts()
        self._counters: list[tuple[Counter, Reading]] = []
        self._gauges: list[tuple[Gauge, Reading]] = []
        self._last: dict[int, float] = {}
        self._registry = registry
        self.count("checks_allowed", "Checks that were allowed", lambda: tally.allowed)
        self.count("checks_denied", "Checks that were denied", lambda: tally.denied)
        self.count("checks_degraded", "Checks answered without the store, by failure policy", lambda: tally.degraded)
        self.count("checks_truncated", "Checks that met more rules than are evaluated", lambda: tally.truncated)
        self.count("check_seconds", "Sum of the time from request to decision", lambda: tally.latency_us / 1e6)

    def count(self, name: str, meaning: str, reading: Reading) -> None:
        """Adds a counter whose total `reading` tells."""
        self._counters.append((Counter(f"ratelimiter_door_{name}", meaning, registry=self._registry), reading))

    def gauge(self, name: str, meaning: str, reading: Reading) -> None:
        """Adds a value that is summed over the living processes."""
        gauge = Gauge(f"ratelimiter_door_{name}", meaning, multiprocess_mode="livesum", registry=self._registry)
        self._gauges.append((gauge, reading))

    def flush(self) -> None:
        for status, total in self._tally.answers.items():
            self._answers.labels(str(status)).inc(total - self._seen[status])
            self._seen[status] = total
        for position, (counter, reading) in enumerate(self._counters):
            total_now = reading()
            counter.inc(total_now - self._last.get(position, 0.0))
            self._last[position] = total_now
        for gauge, reading in self._gauges:
            gauge.set(reading())


def metrics_render() -> bytes:
    """All processes together. Reads files: not for the event loop's thread."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
