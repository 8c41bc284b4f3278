import logging
import re
import time

EVERY_S = 30.0

_PASSING = re.compile(r"#\w+-\d+|\(after [^)]*\)")  # which of our clients it is, and durations


class Calm(logging.Filter):
    """librdkafka says twenty times a second that a broker is away; here it says so every half a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "enable.gapless.guarantee is experimental" in message:  # we know
            return False
        gist = _PASSING.sub("", message)
        now = time.monotonic()
        if now - self._told.get(gist, -EVERY_S) < EVERY_S:
            return False
        if len(self._told) >= 1_000:
            self._told.clear()
        self._told[gist] = now
        return True
