"""What one event costs: made, packed, framed and written to the spool, its share of the syncing thread included."""

import tempfile
import time
from pathlib import Path

from ratelimiter.engine.interpret import interpret
from ratelimiter.events.schema import event_from
from ratelimiter.events.spool import Spool
from tests.bench.results import Event
from tests.engine.rules import NOW_MS, prepared, rule

TOGETHER = (1, 32)  # events of one turn of the event loop


def measure(*, events: int) -> list[Event]:
    """`events` in all, for each of TOGETHER."""
    return [_measure(together, events) for together in TOGETHER]


def _measure(together: int, events: int) -> Event:
    ready = prepared(rule(1), rule(2), user="u_42", ip="198.51.100.7", route="POST /v1/chat")
    decision = interpret(ready, [NOW_MS, 1, 0, 99, 60_000, 0, 0, 99, 60_000, 0], 1)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        spool = Spool(Path(name), boot="0" * 16, max_bytes=2**30)
        begun_ns = time.process_time_ns()
        for _ in range(events // together):
            spool.append([event_from(ready.check, decision, 900, 1, 1, live=True) for _ in range(together)])
        spent_ns = time.process_time_ns() - begun_ns
        spool.close()
        size = sum(path.stat().st_size for path in Path(name).iterdir())
        return Event(together, spent_ns / 1_000 / spool.written, size / spool.written)
