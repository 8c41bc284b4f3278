"""A bounded load generator: raw sockets on loopback, in a process of its own. It stops by itself."""

import multiprocessing
import select
import socket
import time
from collections import deque
from typing import NamedTuple

HOST = "127.0.0.1"
SILENCE_S = 15  # a server that says nothing for so long has failed
_LENGTHS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_DEGRADED = b'"degraded":true'
# What an entry of a batch may not say; the batch itself is always 200.
_FAULTS = (b'"status":4', b'"status":5')


class Outcome(NamedTuple):
    """`statuses` by HTTP status; latencies in seconds, sorted. `degraded`: answers of which some part came without the
    store; `faulty`: 200s that hold an entry of a batch with another status.
    """

    elapsed_s: float
    statuses: dict[int, int]
    latencies: list[float]
    degraded: int = 0
    faulty: int = 0

    @property
    def answers(self) -> int:
        return len(self.latencies)

    def quantile_ms(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1_000


class _Client:
    __slots__ = ("buffer", "due", "socket")

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.due = 0.0

    def receive(self) -> bytes:
        """The response when it is complete, else nothing."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed a connection")
        buffer = self.buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return b""
        at = buffer.find(_LENGTHS[0], 0, end)
        if at < 0:
            at = buffer.find(_LENGTHS[1], 0, end)
        length = int(buffer[at + len(_LENGTHS[0]) : buffer.find(b"\r\n", at + 2)])
        if len(buffer) < end + 4 + length:
            return b""
        self.buffer = b""
        return buffer


class _Tally:
    def __init__(self, connections, port):
        self.clients = [_Client(port) for _ in range(connections)]
        self._by_descriptor = {client.socket.fileno(): client for client in self.clients}
        self._poll = select.epoll()
        for client in self.clients:
            self._poll.register(client.socket, select.EPOLLIN)
        self._latencies, self._statuses = [], {}
        self._degraded = self._faulty = 0
        self.begun = self._heard = time.perf_counter()

    def wait(self, timeout_s: float) -> list[_Client]:
        """Those who have their answer, which is counted. Raises TimeoutError when nobody was answered for long."""
        ready = [self._by_descriptor[descriptor] for descriptor, _ in self._poll.poll(timeout_s)]
        answered = [client for client in ready if self._count(client)]
        now = time.perf_counter()
        if ready:
            self._heard = now
        elif now - self._heard > SILENCE_S:
            raise TimeoutError(f"the server has been silent for {SILENCE_S} s")
        return answered

    def outcome(self) -> Outcome:
        elapsed_s = time.perf_counter() - self.begun
        for client in self.clients:
            client.socket.close()
        return Outcome(elapsed_s, self._statuses, sorted(self._latencies), self._degraded, self._faulty)

    def _count(self, client) -> bool:
        response = client.receive()
        if not response:
            return False
        self._latencies.append(time.perf_counter() - client.due)
        status = int(response[9:12])
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._degraded += _DEGRADED in response
        self._faulty += status == 200 and any(fault in response for fault in _FAULTS)
        return True


def closed_loop(port, payloads, *, connections, seconds) -> Outcome:
    """As many requests at a time as connections, as fast as they are answered."""
    return _in_process(_closed_loop, port, payloads, connections, seconds)


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


def _closed_loop(port, payloads, connections, seconds):
    tally = _Tally(connections, port)
    sent = 0

    def send(client):
        nonlocal sent
        client.due = time.perf_counter()
        client.socket.send(payloads[sent % len(payloads)])
        sent += 1

    for client in tally.clients:
        send(client)
    end = tally.begun + seconds
    waiting = connections
    while waiting:
        for client in tally.wait(1.0):
            if time.perf_counter() < end:
                send(client)
            else:
                waiting -= 1
    return tally.outcome()


def _open_loop(port, payloads, connections, rate, seconds):
    tally = _Tally(connections, port)
    idle = deque(tally.clients)
    begun = tally.begun
    total, sent, answered = int(rate * seconds), 0, 0
    while answered < total:
        now = time.perf_counter()
        while sent < total and idle and begun + sent / rate <= now:
            client = idle.popleft()
            client.due = begun + sent / rate
            client.socket.send(payloads[sent % len(payloads)])
            sent += 1
        wait = max(0.0, begun + sent / rate - now) if sent < total and idle else 1.0
        free = tally.wait(min(wait, 1.0))
        answered += len(free)
        idle.extend(free)
        if now - begun > 2 * seconds + SILENCE_S:
            raise TimeoutError(f"{rate:.0f} requests a second are too many for this server")
    return tally.outcome()
