"""Time comes in as an argument; these are the only places that read a clock."""

import time
from collections.abc import Callable

Clock = Callable[[], int]


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def unix_ms() -> int:
    return time.time_ns() // 1_000_000


class StoreClock:
    """What the store's clock shows, learnt from its replies: an offset to our monotonic clock.

    A reply bounds the offset from both sides, by when the call was sent and when it was answered. Within the bounds the
    last estimate stays, so one slow reply does not make the next deadline too early, and a clock that was set is
    followed at once.
    """

    __slots__ = ("_ahead_ms",)

    def __init__(self) -> None:
        self._ahead_ms: int | None = None

    @property
    def known(self) -> bool:
        return self._ahead_ms is not None

    def observe(self, store_ms: int, *, sent_ms: int, received_ms: int) -> None:
        least, most = store_ms - received_ms, store_ms - sent_ms
        ahead_ms = least if self._ahead_ms is None else self._ahead_ms
        self._ahead_ms = min(max(ahead_ms, least), most)

    def at(self, monotonic: int) -> int:
        """The store's time at one of ours. Only after the first `observe`."""
        assert self._ahead_ms is not None
        return monotonic + self._ahead_ms
