"""Whoever asks at the same time, whichever worker answers: a counter is one counter, and never tells of the past."""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratelimiter.engine.rules import MAX_LOGGED, Algorithm
from tests.door.linear import Operation, violation
from tests.door.rig import Reader, check_bytes, rule, running, settle
from tests.proofs.rounds import rounds

THREADS = 12
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "300"))
OPERATIONS = min(rounds(150), 2_000)  # of each thread
WIDE_MS = 34_560_000_000


# --- the checker


def simulated(chance, limit):
    """A history of a right counter: moments drawn, callers waiting around them."""
    left = limit
    history = []
    for moment in range(1, chance.randint(1, 6) + 1):
        cost, peek = chance.randint(1, 4), chance.random() < 0.3
        allowed = cost <= left
        remaining = left - cost if allowed else left
        if not peek:
            left = remaining
        waited = chance.randint(0, 25), chance.randint(0, 25)
        history.append(Operation(10 * moment - waited[0], 10 * moment + waited[1], cost, peek, allowed, remaining))
    chance.shuffle(history)
    return history


def searched(history, limit):
    """Whether some order fits, by trying all (Wing & Gong, 1993)."""
    if not history:
        return True
    first_end = min(operation.ended for operation in history)
    for operation in history:
        if operation.begun > first_end:
            continue  # another one had ended before
        allowed = operation.cost <= limit
        remaining = limit - operation.cost if allowed else limit
        if (operation.allowed, operation.remaining) != (allowed, remaining):
            continue
        rest = list(history)
        rest.remove(operation)
        if searched(rest, limit if operation.peek else remaining):
            return True
    return False


seeds = st.integers(0, 2**32).map(random.Random)


@given(chance=seeds, limit=st.integers(1, 8))
def test_the_checker_accepts_what_a_right_counter_answers(chance, limit):
    assert violation(simulated(chance, limit), limit) is None


@settings(max_examples=EXAMPLES, deadline=None)
@given(chance=seeds, limit=st.integers(1, 8), edits=st.integers(1, 3))
def test_the_checker_agrees_with_an_exhaustive_search_on_what_a_wrong_one_answers(chance, limit, edits):
    history = simulated(chance, limit)
    for _ in range(edits):
        position = chance.randrange(len(history))
        one = history[position]
        change = chance.choice(
            [
                {"remaining": max(0, one.remaining + chance.choice([-2, -1, 1, 2]))},
                {"allowed": not one.allowed},
                {"peek": not one.peek},
                {"begun": one.begun + 15, "ended": one.ended + 15},
                {"begun": one.begun - 15, "ended": one.ended - 15},
            ]
        )
        history[position] = one._replace(**change)
    assert (violation(history, limit) is None) == searched(history, limit)


TAKE, PEEK, YES, NO = False, True, True, False
BAD = {
    "a lost update": [(0, 9, 1, TAKE, YES, 4), (0, 9, 1, TAKE, YES, 4)],
    "a count that skips": [(0, 1, 1, TAKE, YES, 4), (2, 3, 1, TAKE, YES, 2)],
    "a stale peek": [(0, 1, 1, TAKE, YES, 4), (2, 3, 1, PEEK, YES, 4)],
    "a stale denial": [(0, 1, 3, TAKE, YES, 2), (2, 3, 2, TAKE, YES, 0), (4, 5, 4, TAKE, NO, 2)],
    "a peek into the future": [(0, 1, 1, PEEK, YES, 3), (2, 3, 1, TAKE, YES, 4)],
    "an order against the clock": [(0, 1, 1, TAKE, YES, 3), (2, 3, 1, TAKE, YES, 4)],
    "two peeks in the wrong order": [(0, 9, 1, TAKE, YES, 4), (1, 2, 1, PEEK, YES, 3), (3, 4, 1, PEEK, YES, 4)],
    "a denial with room": [(0, 1, 5, TAKE, NO, 5)],
    "more than the limit": [(0, 1, 3, TAKE, YES, 2), (0, 1, 3, TAKE, YES, -1)],
    "a peek that took": [(0, 1, 2, PEEK, YES, 3), (2, 3, 1, TAKE, YES, 2)],
    "an answer before the question": [(3, 2, 1, TAKE, YES, 4)],
}


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_the_checker_refuses(history):
    operations = [Operation(*fields) for fields in history]
    assert violation(operations, 5)
    assert not searched(operations, 5) or operations[0].begun > operations[0].ended


# --- the door


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with running(tmp_path_factory.mktemp("linear"), workers=2) as house:
        yield house


def caller(door, key, seed):
    """One thread's part: one to four checks at a time on one of two connections, which may be different workers'."""
    chance = random.Random(seed)
    history = []
    with door.connect() as one, door.connect() as other:
        connections = [(one, Reader(one)), (other, Reader(other))]
        while len(history) < OPERATIONS:
            connection, reader = chance.choice(connections)
            asked = [(chance.choice([1, 1, 2, 5]), chance.random() < 0.2) for _ in range(chance.randint(1, 4))]
            begun = time.monotonic_ns()
            connection.sendall(
                b"".join(check_bytes(key, cost=cost, mode="peek" if peek else "consume") for cost, peek in asked)
            )
            for cost, peek in asked:
                answer = reader.response().json
                ended = time.monotonic_ns()
                if answer["degraded"]:
                    raise Degraded
                history.append(Operation(begun, ended, cost, peek, answer["allowed"], answer["remaining"]))
    return history


class Degraded(Exception):
    """This machine is so busy that Redis seemed gone; nothing was promised then."""


def recorded(house, seed, **fields):
    valkey, keyring, door = house
    key = keyring.key(keyring.tenant(rule(**fields)))
    settle(valkey, keyring)
    with ThreadPoolExecutor(THREADS) as threads:
        parts = [threads.submit(caller, door, key, f"{seed} {number}") for number in range(THREADS)]
        return [operation for part in parts for operation in part.result()]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_counter_of_the_door_is_linearizable(house, algorithm, seed):
    limit = THREADS * OPERATIONS  # about half of what is asked for
    if algorithm in (Algorithm.SLIDING_LOG, Algorithm.CONCURRENCY):
        limit = min(limit, MAX_LOGGED)
    for attempt in range(10):
        with suppress(Degraded):
            history = recorded(house, f"{seed} {attempt}", limit=limit, window_ms=WIDE_MS, algorithm=algorithm)
            break
    else:
        pytest.fail("Redis was never there for long enough")
    assert violation(history, limit) is None
    assert {operation.allowed for operation in history} == {True, False}
    assert at_once(history) > 3, "nothing happened at the same time: nothing has been shown"


def at_once(history):
    """How many were under way, on average, when one ended."""
    ends = sorted(operation.ended for operation in history)
    waiting = sum(operation.ended - operation.begun for operation in history)
    return waiting / (ends[-1] - min(operation.begun for operation in history))
