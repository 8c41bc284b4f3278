"""A crowd: processes of threads that all send the same checks at once. Nothing of pytest or Django is needed here."""

import multiprocessing
import socket
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import NamedTuple

PROCESSES = 4
THREADS = 8
PIPELINED = 4
HOST = "127.0.0.1"


class Hit(NamedTuple):
    """`answer` is status and whether it was degraded: (200, False)."""

    cost: int
    answer: tuple[int, bool]


def crowd(port: int, requests: list[tuple[int, bytes]], *, hits: int) -> Counter[Hit]:
    """What came of `hits` checks from each process, `requests` in turn; a request is (cost, bytes).

    Degraded answers are on top: who gets one waits a moment and asks again.
    """
    spawn = multiprocessing.get_context("spawn")
    everybody = spawn.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, spawn, _start_together, (everybody,)) as processes:
        parts = [processes.submit(_process, port, requests, hits) for _ in range(PROCESSES)]
        return sum((part.result() for part in parts), Counter())


def _start_together(everybody) -> None:
    global _everybody  # noqa: PLW0603 - a barrier reaches a process at its start only
    _everybody = everybody


def _process(port: int, requests: list[tuple[int, bytes]], hits: int) -> Counter[Hit]:
    _everybody.wait(timeout=60)
    with ThreadPoolExecutor(THREADS) as threads:
        shares = [hits // THREADS + (number < hits % THREADS) for number in range(THREADS)]
        parts = [threads.submit(_thread, port, requests, share, number) for number, share in enumerate(shares)]
        return sum((part.result() for part in parts), Counter())


def _thread(port: int, requests: list[tuple[int, bytes]], hits: int, turn: int) -> Counter[Hit]:
    found: Counter[Hit] = Counter()
    decided = 0
    with socket.create_connection((HOST, port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reading = connection.makefile("rb")
        while decided < hits:
            sent = [requests[(turn + number) % len(requests)] for number in range(min(PIPELINED, hits - decided))]
            turn += len(sent)
            connection.sendall(b"".join(data for _, data in sent))
            degraded = 0
            for cost, _ in sent:
                hit = Hit(cost, _answer(reading))
                found[hit] += 1
                degraded += hit.answer[1]
            decided += len(sent) - degraded
            if degraded:
                time.sleep(0.02)
    return found


def _answer(reading) -> tuple[int, bool]:
    status = int(reading.readline().split(b" ", 2)[1])
    length = 0
    while (line := reading.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name == b"Content-Length":
            length = int(value)
    return status, b'"degraded":false' not in reading.read(length)
