"""How long a check takes at a quarter, a half and three quarters of what the door can do.

The load is open: requests are due at fixed times whatever the answers do.
"""

from tests.bench import load
from tests.bench.contenders.contender import Contender, Running
from tests.bench.measure import WINDOWS, middle, outcome_verify, started, warm_up
from tests.bench.results import Latency
from tests.door.rig import Valkey

SHARES = (0.25, 0.5, 0.75)


def measure(contender: Contender, valkey: Valkey, *, seconds: float) -> list[Latency]:
    """`seconds` for each share, in WINDOWS of which the middle one by its p99 is told. Raises Wrong."""
    with started(contender, valkey) as running:
        warm_up(contender, running, seconds=1.0)
        full = warm_up(contender, running, seconds=seconds / 3)
        capacity = full.answers / full.elapsed_s
        return [_at(share, capacity, contender, running, seconds / WINDOWS) for share in SHARES]


def _at(share: float, capacity: float, contender: Contender, running: Running, seconds: float) -> Latency:
    rate = share * capacity
    found = []
    for _ in range(WINDOWS):
        outcome = load.open_loop(
            running.port, running.payloads, connections=contender.connections, rate=rate, seconds=seconds
        )
        outcome_verify(contender, outcome)
        quantiles = (outcome.quantile_ms(quantile) for quantile in (0.5, 0.99, 0.999))
        found.append(Latency(share, rate, *quantiles))
    return middle(found, by=lambda latency: latency.p99_ms)
