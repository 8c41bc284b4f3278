"""Keeping the schema fit to be written to."""

from dataclasses import dataclass
from datetime import datetime

from apps.analytics import partitions


@dataclass(frozen=True, slots=True)
class Ensured:
    made: int
    dropped: list[str]


def tables_ensure(*, now: datetime, since: datetime | None = None) -> Ensured:
    """For the owner's role, after migrations and every hour: rights, partitions ahead, and none that is due to go.

    `since` is for those who bring old numbers along: partitions from then on, too.
    """
    partitions.rights_ensure()
    made = partitions.partitions_ensure(now=now, since=since)
    partitions.compression_ensure()
    return Ensured(made, partitions.expired_drop(now=now))
