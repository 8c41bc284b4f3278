"""What the benchmark knows of each contender, and of one that runs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.server import Server
from tests.door.rig import Valkey

CONNECTIONS = 64


class Site(NamedTuple):
    """Where contenders run: an empty store of their own, and a folder for their files and logs."""

    valkey: Valkey
    folder: Path


class Running(NamedTuple):
    """`process` is the id of the server's first process; its children count as the server too."""

    port: int
    process: int
    payloads: list[bytes]


class Contender(NamedTuple):
    """`shares` are the least and the greatest share of the answers that each status may have; any other is an error.

    `checks` is how many checks one request holds. `absent` says why it cannot run here, "" when it can.
    """

    name: str
    says: str
    start: Callable[[Site], AbstractContextManager[Running]]
    checks: int = 1
    connections: int = CONNECTIONS
    shares: dict[int, tuple[float, float]] = {200: (1.0, 1.0)}
    is_quick: bool = True
    absent: Callable[[], str] = str


@contextmanager
def serving(server: Server, payloads: list[bytes]) -> Iterator[Running]:
    """Until the context ends; waits for the first right answer, so that a broken contender is found at once."""
    try:
        server.wait_until_answers(payloads[0])
        yield Running(server.port, server.process.pid, payloads)
    finally:
        server.stop()
