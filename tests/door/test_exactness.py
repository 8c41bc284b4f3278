"""0 over, 0 under, whoever asks at the same time.

On a machine so busy that Redis seems gone for 50 ms, the calls of that moment are in doubt: counted or not, and nobody
was let in. Such answers are rare; they widen what may have been counted by as much as they asked for.
"""

import pytest

from ratelimiter.engine.rules import MAX_LOGGED, Algorithm, FailurePolicy
from tests.door.hits import PROCESSES, crowd
from tests.door.rig import check_bytes, rule, running, settle

HITS = 10_000  # of each process
WIDE_MS = 34_560_000_000  # no boundary comes while a test runs, and no unit of a bucket's
ALGORITHMS = [Algorithm.SLIDING_WINDOW, Algorithm.FIXED_WINDOW, Algorithm.TOKEN_BUCKET]
ADMITTED, DENIED, IN_DOUBT = (200, False), (429, False), (429, True)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with running(tmp_path_factory.mktemp("crowded"), workers=2) as house:
        yield house


def counted_by(house, costs, *, limit, algorithm):
    """The crowd's checks meet one rule with that limit, and one that is never reached. Returns what was counted.

    Asserts that this is what was admitted, to the unit.
    """
    valkey, keyring, door = house
    closed = {"window_ms": WIDE_MS, "on_failure": FailurePolicy.CLOSED}
    key = keyring.key(keyring.tenant(rule(limit=limit, algorithm=algorithm, **closed), rule("wide", **closed)))
    settle(valkey, keyring)
    found = crowd(door.port, [(cost, check_bytes(key, cost=cost)) for cost in costs], hits=HITS)
    assert {hit.answer for hit in found} - {IN_DOUBT} == {ADMITTED, DENIED}, found
    assert sum(count for (_, answer), count in found.items() if answer != IN_DOUBT) == PROCESSES * HITS
    admitted, in_doubt = (
        sum(cost * count for (cost, answer), count in found.items() if answer == wanted)
        for wanted in (ADMITTED, IN_DOUBT)
    )
    counted = limit - door.left(key)
    assert admitted <= counted <= admitted + in_doubt
    return counted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_thirty_two_threads_of_four_processes_admit_exactly_the_limit(house, algorithm):
    assert counted_by(house, [1], limit=HITS, algorithm=algorithm) == HITS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_cost_that_does_not_divide_the_limit_leaves_the_rest(house, algorithm):
    limit = 3 * HITS + 5
    assert counted_by(house, [7], limit=limit, algorithm=algorithm) == limit // 7 * 7


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_mixed_costs_fill_the_limit_to_the_last_unit(house, algorithm):
    """Ones are sent to the end, so whatever the large ones leave is taken."""
    assert counted_by(house, [1, 2, 13, 1], limit=3 * HITS, algorithm=algorithm) == 3 * HITS


@pytest.mark.parametrize("algorithm", [Algorithm.SLIDING_LOG, Algorithm.CONCURRENCY])
def test_what_is_kept_one_by_one_is_exact_as_well(house, algorithm):
    assert counted_by(house, [1, 3, 1, 20], limit=MAX_LOGGED, algorithm=algorithm) == MAX_LOGGED
