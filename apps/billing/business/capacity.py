"""From checks a second to processes, shards, partitions and dollars a month.

Sizes follow from a core's time for one check and one event, as measured, and from how full a core may be; prices from
the document's table. Everything is for the peak, but disks and storage, which are for the mean.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import ceil

from apps.billing.business import measured
from apps.billing.business.costs import SCALE, Cost, cost_of
from apps.billing.business.measured import Measured

CORES = 2  # of every machine in the table that runs our code
DAY_S = 86_400
BROKER_BYTES_S = 20_000_000  # that a broker writes; each event is written by three
GB = 1_000_000_000
DISK_CENTS_A_GB = 8  # a month


class Asked(StrEnum):
    SINGLE = "single"
    BATCHES = "batches"
    LEASES = "leases"


@dataclass(frozen=True, slots=True)
class Load:
    """`peak` in checks a second, `mean` as a share of it; `full` is how busy a core may be at the peak. `raw` is the
    share of events that are kept one by one, for `raw_days`.
    """

    peak: int = SCALE
    mean: Fraction = Fraction(3, 10)
    asked: Asked = Asked.SINGLE
    rules: int = 2
    full: Fraction = Fraction(1, 2)
    counters: int = 10_000_000
    raw: Fraction = Fraction(1, 10)
    raw_days: int = 7


@dataclass(frozen=True, slots=True)
class Part:
    """`cores` that are busy at the peak, None where something else decides; the document's is for the same peak."""

    name: str
    machine: str
    count: int
    cents: int
    why: str
    document: Cost | None
    document_cents: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`consumers` is how many ingest processes are needed; more than there are partitions would be idle."""

    parts: tuple[Part, ...]
    events_a_second: int
    consumers: int
    partitions: int
    disk_gb: int

    @property
    def cents(self) -> int:
        return sum(part.cents for part in self.parts)

    @property
    def document_cents(self) -> int:
        return sum(part.document_cents for part in self.parts)

    @property
    def fits_partitions(self) -> bool:
        return self.consumers <= self.partitions


def plan(load: Load) -> Plan:
    cost = measured_for(load)
    doors = _cores(load, load.peak, cost.door_us)
    shards = max(
        3, ceil(_cores(load, load.peak, cost.redis_us)), ceil(load.counters * measured.COUNTER_BYTES / (8 * GB))
    )
    ingest = load.raw * Fraction(measured.INGEST_US) + (1 - load.raw) * Fraction(measured.INGEST_SUMS_US)
    mean = load.peak * load.mean
    consumers = max(2, ceil(_cores(load, mean, ingest)))
    written = load.peak * measured.EVENT_BYTES * 3
    brokers = max(3, ceil(Fraction(written, BROKER_BYTES_S)))
    disk = ceil(mean * DAY_S * (7 * measured.EVENT_BYTES * 3 + load.raw * load.raw_days * measured.RAW_BYTES) / GB)
    parts = (
        _part(
            load,
            "Rate limiter",
            max(2, ceil(doors / CORES)) + 1,
            f"{float(doors):.1f} cores, none fuller than that; one machine may die",
        ),
        _part(load, "Redis", 2 * shards, f"{shards} shards, each with a replica"),
        _part(load, "Kafka", brokers, f"{written / 1e6:.0f} MB/s written, three copies of each event"),
        _part(load, "TimescaleDB", max(1, ceil(Fraction(consumers, CORES))), f"{consumers} ingest processes beside it"),
        _part(load, "PostgreSQL", cost_of("PostgreSQL").count, "does not grow with checks"),
        _part(load, "Admin API", cost_of("Admin API").count, "does not grow with checks"),
        _part(load, "Load balancer", 1, "passes the peak on"),
        _part(load, "Monitoring", 1, "watches"),
        Part("Disks", "SSD", 1, disk * DISK_CENTS_A_GB, f"{disk:,} GB: a week of the bus, and raw rows", None, 0),
        _part(load, "API gateway", 0, "doors are asked directly"),
    )
    return Plan(parts, round(mean), consumers, measured.PARTITIONS, disk)


def measured_for(load: Load) -> Measured:
    """Of the next larger number of rules that was measured."""
    if load.asked is Asked.BATCHES:
        return measured.BATCHES
    if load.asked is Asked.LEASES:
        return measured.LEASES
    return measured.SINGLE[
        min((rules for rules in measured.SINGLE if rules >= load.rules), default=max(measured.SINGLE))
    ]


def _cores(load: Load, a_second: int | Fraction, microseconds: float | Fraction) -> Fraction:
    """Whole machines' worth, when each core is as full as it may be."""
    return a_second * Fraction(microseconds) / 1_000_000 / load.full


def _part(load: Load, component: str, count: int, why: str) -> Part:
    """The document's own number of machines grows with the peak where ours does."""
    said = cost_of(component)
    each = Fraction(said.dollars * 100, said.count)
    grows = component in ("API gateway", "Rate limiter", "Redis", "Kafka", "TimescaleDB")
    scaled = said.dollars * 100 * (Fraction(load.peak, SCALE) if grows else 1)
    return Part(component, said.specification, count, round(each * count), why, said, round(scaled))
