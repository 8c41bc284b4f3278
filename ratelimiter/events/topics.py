"""The topics, with the retention that the architecture asks for.

Those that hold events in plain must forget them before a deleted tenant's grace is over; a test sees to it.

`request-logs` is cut by partition number, the others by key: the tenant, because the order within a tenant matters more
than how severe something is. How many copies a topic has is the brokers' `default.replication.factor`, how many must
have a record before it counts as delivered their `min.insync.replicas`.
"""

from dataclasses import dataclass

from ratelimiter.events.bus import TOPIC
from ratelimiter.events.spool import PARTITIONS

BILLING = "billing-events"
ALERTS = "alert-events"
DEAD = f"{TOPIC}.dead"


MAX_RECORD_BYTES = 8 * 1024 * 1024  # sums of collapsed events cannot be cut


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    partitions: int
    keep_days: int


TOPICS = (
    Topic(TOPIC, PARTITIONS, keep_days=7),
    Topic(BILLING, PARTITIONS, keep_days=30),
    Topic(ALERTS, PARTITIONS, keep_days=3),
    Topic(DEAD, 1, keep_days=28),  # somebody has to look at them
)
