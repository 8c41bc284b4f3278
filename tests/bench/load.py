"""A bounded load generator: raw sockets on loopback, in a process of its own. It stops by itself."""

import multiprocessing
import select
import socket
import time
from collections import deque
from typing import NamedTuple

HOST = "127.0.0.1"
_LENGTH = b"\r\nContent-Length: "


class Outcome(NamedTuple):
    """`statuses` by HTTP status; latencies in seconds, sorted."""

    elapsed_s: float
    statuses: dict[int, int]
    latencies: list[float]

    def quantile_ms(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1_000


class _Client:
    __slots__ = ("buffer", "due", "socket")

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.due = 0.0

    def receive(self) -> int:
        """The status when the response is complete, else 0."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the door closed a connection")
        buffer = self.buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return 0
        at = buffer.find(_LENGTH)
        length = int(buffer[at + len(_LENGTH) : buffer.find(b"\r\n", at + 2)])
        if len(buffer) < end + 4 + length:
            return 0
        self.buffer = b""
        return int(buffer[9:12])


def closed_loop(port, payloads, *, connections, total) -> Outcome:
    """As many requests at a time as connections, as fast as they are answered."""
    return _in_process(_closed_loop, port, payloads, connections, total)


def open_loop(port, payloads, *, connections, rate, seconds) -> Outcome:
    """Requests at fixed times, whatever the answers do; latency counts from the time a request was due."""
    return _in_process(_open_loop, port, payloads, connections, rate, seconds)


def start(target, *arguments):
    """Runs `target` in a process of its own; the result is a function that waits for the outcome."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, target, arguments))
    process.start()

    def outcome():
        result = receiver.recv()
        process.join()
        if isinstance(result, Exception):
            raise result
        return result

    return outcome


def _in_process(target, *arguments):
    return start(target, *arguments)()


def _report(sender, target, arguments):
    try:
        sender.send(target(*arguments))
    except Exception as error:  # noqa: BLE001 - the parent raises it
        sender.send(error)


def _closed_loop(port, payloads, connections, total):
    clients = [_Client(port) for _ in range(connections)]
    by_descriptor = {client.socket.fileno(): client for client in clients}
    poll = select.epoll()
    latencies, statuses = [], {}
    sent = 0
    begun = time.perf_counter()
    for client in clients:
        poll.register(client.socket, select.EPOLLIN)
        client.due = time.perf_counter()
        client.socket.send(payloads[sent % len(payloads)])
        sent += 1
    while len(latencies) < total:
        for descriptor, _ in poll.poll():
            client = by_descriptor[descriptor]
            status = client.receive()
            if not status:
                continue
            now = time.perf_counter()
            latencies.append(now - client.due)
            statuses[status] = statuses.get(status, 0) + 1
            if sent < total:
                client.due = now
                client.socket.send(payloads[sent % len(payloads)])
                sent += 1
    return Outcome(time.perf_counter() - begun, statuses, sorted(latencies))


def _open_loop(port, payloads, connections, rate, seconds):
    idle = deque(_Client(port) for _ in range(connections))
    by_descriptor = {client.socket.fileno(): client for client in idle}
    poll = select.epoll()
    for client in idle:
        poll.register(client.socket, select.EPOLLIN)
    latencies, statuses = [], {}
    total, sent = int(rate * seconds), 0
    begun = time.perf_counter()
    while len(latencies) < total:
        now = time.perf_counter()
        while sent < total and idle and begun + sent / rate <= now:
            client = idle.popleft()
            client.due = begun + sent / rate
            client.socket.send(payloads[sent % len(payloads)])
            sent += 1
        wait = max(0.0, begun + sent / rate - now) if sent < total and idle else 1.0
        for descriptor, _ in poll.poll(min(wait, 1.0)):
            client = by_descriptor[descriptor]
            status = client.receive()
            if status:
                latencies.append(time.perf_counter() - client.due)
                statuses[status] = statuses.get(status, 0) + 1
                idle.append(client)
    return Outcome(time.perf_counter() - begun, statuses, sorted(latencies))
