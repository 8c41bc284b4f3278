"""What carries records from the shippers to whoever counts them: one topic, cut into partitions that keep their order.

Two kinds stand behind one interface, told by URL: Apache Kafka (`kafka://host:port,host:port`) and Redis Streams
(`redis://…`, on a server that keeps its data). A record is delivered when it would survive a crash of the bus.
Positions are opaque text of the bus's own; whoever reads keeps them, the bus is never told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

TOPIC = "request-logs"
Done = Callable[[Exception | None], None]


@dataclass(frozen=True, slots=True)
class Message:
    """`next` is the position to go on from once this one is counted."""

    partition: int
    position: str
    next: str
    payload: bytes


class BusError(Exception):
    """The bus did not do what it was asked; asking again may help."""


class OffsetLost(BusError):
    """What follows the position is not on the bus any more: going on would skip records without a word."""

    def __init__(self, partition: int, position: str) -> None:
        super().__init__(f"partition {partition} does not hold what follows position {position!r}")
        self.partition = partition
        self.position = position


class Producer(Protocol):
    """Keeps the order of each partition. For one thread."""

    def send(self, partition: int, payload: bytes, done: Done) -> None:
        """`done` is called by a later `poll` or `flush`, with None once delivered. After an error the order of what was
        sent behind it is not promised: close this producer, make another, and send again from the first undelivered.
        """

    def poll(self, timeout_s: float) -> None: ...

    def flush(self, timeout_s: float) -> bool:
        """True when nothing is under way any more."""

    def close(self) -> None: ...


class Reader(Protocol):
    """For one thread. Every method raises BusError."""

    def read(self, positions: Mapping[int, str], *, max_records: int, timeout_s: float) -> list[Message]:
        """What follows `positions` ("" is the beginning) in these partitions, in order within each; waits up to
        `timeout_s` for the first record, then takes what is there. Raises OffsetLost.
        """

    def topic_id(self) -> str:
        """Another one when the topic was made anew, whose positions mean nothing to the old."""

    def lag(self, positions: Mapping[int, str]) -> dict[int, int]:
        """Records behind each position."""

    def trim(self, partition: int, position: str) -> None:
        """What lies before `position` may go."""

    def dead_letter(self, payload: bytes, reason: str, *, partition: int, position: str) -> None:
        """Durable when it returns."""

    def close(self) -> None: ...
