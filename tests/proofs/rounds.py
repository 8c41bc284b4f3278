"""How much a proof does: little in every run, a million rounds in `make test-long` (PROOF_ROUNDS)."""

import gc
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")

CPU_BOUND_S = 0.050


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
    """The result of `work`, which must take no longer than CPU_BOUND_S of this process's CPU.

    One slow run may be somebody else's fault (page faults, a cold cache); three in a row are not.
    """
    for _ in range(3):
        begun_s = time.process_time()
        result = work()
        if time.process_time() - begun_s <= CPU_BOUND_S:
            return result
    raise AssertionError(f"longer than {CPU_BOUND_S} s of CPU: {about()!r}")
