"""0 over, 0 under, whoever asks at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ratelimiter.engine.rules import Algorithm
from tests.door.rig import Reader, check_bytes, rule

THREADS = 8
CHECKS = 1_000
WIDE_MS = 34_560_000_000  # no boundary comes while a test runs


def statuses(door, key):
    request = check_bytes(key, cost=1)
    with door.connect() as connection:
        reader = Reader(connection)
        found = []
        for _ in range(CHECKS // 10):
            connection.sendall(request * 10)
            found += [reader.response().status for _ in range(10)]
        return found


@pytest.mark.parametrize("algorithm", [Algorithm.SLIDING_WINDOW, Algorithm.FIXED_WINDOW, Algorithm.TOKEN_BUCKET])
@pytest.mark.parametrize("workers", [1, 2])
def test_eight_threads_of_a_thousand_checks_admit_exactly_the_limit(start, algorithm, workers):
    house = start(workers=workers)
    tenant = house.keyring.tenant(rule(limit=1_000, window_ms=WIDE_MS, algorithm=algorithm), rule("wide"))
    key = house.keyring.key(tenant)
    with ThreadPoolExecutor(THREADS) as threads:
        found = [status for part in threads.map(lambda _: statuses(house.door, key), range(THREADS)) for status in part]
    assert len(found) == THREADS * CHECKS
    assert found.count(200) == 1_000
    assert found.count(429) == THREADS * CHECKS - 1_000
