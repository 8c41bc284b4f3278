"""What one check and one event cost, in microseconds of a core's time, as docs/performance.md and
docs/ingest-performance.md say; a test holds the three against each other.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one check: the door's time and Redis's."""

    door_us: float
    redis_us: float


# With 64 tenants in turn, which is nearer to life than one; docs/performance.md has both.
SINGLE = {1: Measured(20.3, 6.9), 2: Measured(22.1, 9.2), 5: Measured(28.0, 18.3), 10: Measured(38.1, 33.5)}
BATCHES = Measured(10.1, 3.6)
LEASES = Measured(7.8, 0.3)

PARTITIONS = 16  # of the bus
EVENT_BYTES = 96  # packed, in the spool and on the bus
COUNTER_BYTES = 116  # a live counter in Redis, with its key
INGEST_US = 12.83 + 10.68  # an event with its raw row: Python and PostgreSQL
INGEST_SUMS_US = 3.12 + 1.32  # an event that is only counted
RAW_BYTES = 285  # a raw row in PostgreSQL, with its indexes
