"""How much a proof does: little in every run, a million rounds in `make test-long` (PROOF_ROUNDS)."""

import gc
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")

COUNTS = 2_000_000  # some 100 ms of CPU; what grows with the square of a read takes seconds


def rounds(normally: int) -> int:
    return int(os.environ.get("PROOF_ROUNDS", normally))


@contextmanager
def unhurried():
    """What lives already is left out of collections, whose pauses would be blamed on the code under test."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def timed(work: Callable[[], Result], about: Callable[[], object]) -> Result:
    """The result of `work`, which must take no more of this process's CPU than counting to COUNTS does.

    One slow run may be somebody else's fault (page faults, a cold cache); three in a row are not.
    """
    for _ in range(3):
        begun_s = time.process_time()
        result = work()
        taken_s = time.process_time() - begun_s
        if taken_s <= 0.050 or taken_s <= _counting_s():
            return result
    raise AssertionError(f"{taken_s:.3f} s of CPU: {about()!r}")


def _counting_s() -> float:
    begun_s, total = time.process_time(), 0
    for number in range(COUNTS):
        total += number
    return time.process_time() - begun_s
