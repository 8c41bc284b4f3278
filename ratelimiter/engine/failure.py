"""When the store fails: a breaker that decides whether it is asked at all. Pure; time comes in.

Closed, every call goes through. The first failure opens it: a call that timed out has cost 50 ms already, and the next
one would cost the same. Open, nothing goes through until `retry_at_ms`; then one probe may, and its outcome closes the
breaker or opens it for twice as long, up to a second.
"""

FIRST_PAUSE_MS = 50
LONGEST_PAUSE_MS = 1_000


class Breaker:
    __slots__ = ("_pause_ms", "_probing", "_retry_at_ms", "open")

    def __init__(self) -> None:
        self.open = False
        self._pause_ms = FIRST_PAUSE_MS
        self._retry_at_ms = 0
        self._probing = False

    def admits(self, now_ms: int) -> bool:
        """Whether a call may be made now. A True while open hands out the one probe."""
        if not self.open:
            return True
        if self._probing or now_ms < self._retry_at_ms:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self.open = False
        self._probing = False
        self._pause_ms = FIRST_PAUSE_MS

    def failed(self, now_ms: int) -> None:
        if self.open and self._probing:
            self._pause_ms = min(2 * self._pause_ms, LONGEST_PAUSE_MS)
        self.open = True
        self._probing = False
        self._retry_at_ms = now_ms + self._pause_ms
