"""0 over, 0 under, whoever asks at the same time."""

import pytest

from ratelimiter.engine.rules import MAX_LOGGED, Algorithm
from tests.door.hits import PROCESSES, crowd
from tests.door.rig import check_bytes, rule, running, settle

HITS = 10_000  # of each process
WIDE_MS = 34_560_000_000  # no boundary comes while a test runs, and no unit of a bucket's
ALGORITHMS = [Algorithm.SLIDING_WINDOW, Algorithm.FIXED_WINDOW, Algorithm.TOKEN_BUCKET]
ADMITTED, DENIED = (200, False), (429, False)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with running(tmp_path_factory.mktemp("crowded"), workers=2) as house:
        yield house


def hit(house, costs, **fields):
    """Every check of the crowd meets a rule with those fields, and one that is never reached. Costs may repeat."""
    valkey, keyring, door = house
    for _ in range(3):
        key = keyring.key(keyring.tenant(rule(window_ms=WIDE_MS, **fields), rule("wide")))
        settle(valkey, keyring)
        found = crowd(door.port, [(cost, check_bytes(key, cost=cost)) for cost in costs], hits=HITS)
        if not any(degraded for _, (_, degraded) in found):
            break  # else this machine was so busy that Redis seemed gone, and exactness was not promised
    assert sum(found.values()) == PROCESSES * HITS
    assert {hit.answer for hit in found} == {ADMITTED, DENIED}, found
    return found, door.check(key, mode="peek").json["results"][0]["remaining"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_thirty_two_threads_of_four_processes_admit_exactly_the_limit(house, algorithm):
    limit = HITS
    found, left = hit(house, [1], limit=limit, algorithm=algorithm)
    assert {answer: count for (_, answer), count in found.items()} == {
        ADMITTED: limit,
        DENIED: (PROCESSES - 1) * HITS,
    }
    assert left == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_cost_that_does_not_divide_the_limit_leaves_the_rest(house, algorithm):
    limit = 3 * HITS + 5
    found, left = hit(house, [7], limit=limit, algorithm=algorithm)
    assert found[7, ADMITTED] == limit // 7
    assert left == limit % 7 - 1  # who asks takes one


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_mixed_costs_fill_the_limit_to_the_last_unit(house, algorithm):
    """Ones are sent to the end, so whatever the large ones leave is taken."""
    limit = 3 * HITS
    found, left = hit(house, [1, 2, 13, 1], limit=limit, algorithm=algorithm)
    assert sum(cost * count for (cost, answer), count in found.items() if answer == ADMITTED) == limit
    assert left == 0
    assert found[13, DENIED] > found[13, ADMITTED]


@pytest.mark.parametrize("algorithm", [Algorithm.SLIDING_LOG, Algorithm.CONCURRENCY])
def test_what_is_kept_one_by_one_is_exact_as_well(house, algorithm):
    found, left = hit(house, [1, 3, 1, 20], limit=MAX_LOGGED, algorithm=algorithm)
    assert sum(cost * count for (cost, answer), count in found.items() if answer == ADMITTED) == MAX_LOGGED
    assert left == 0
