"""Does one tenant's heavy use slow another's light use down? Batches of 100 checks of 10 rules beside single checks."""

import tempfile
from pathlib import Path

from ratelimiter.engine.rules import RuleType
from tests.bench import load
from tests.bench.contenders.contender import CONNECTIONS
from tests.bench.contenders.door import QUOTA, Door
from tests.bench.requests import batches, singles
from tests.bench.results import Fairness
from tests.door.rig import DoorProcess, Keyring, Valkey, rule, settle

RATE = 1_000  # single checks a second


def measure(valkey: Valkey, *, seconds: float) -> Fairness:
    """The heavy tenant asks as much as half of what it could alone."""
    valkey.client.flushall()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        keyring = Keyring(valkey)
        light = singles([keyring.key(keyring.tenant(*Door(rules=2).published(), quota=QUOTA))])
        ten = [rule(f"h{n}", type=RuleType.USER, key=("user",)) for n in range(10)]
        heavy = batches([keyring.key(keyring.tenant(*ten, quota=QUOTA))], size=100)
        door = DoorProcess(valkey, Path(folder) / "spool")
        try:
            settle(valkey, keyring)
            return _beside(door.port, light, heavy, seconds)
        finally:
            door.stop()


def _beside(port: int, light: list[bytes], heavy: list[bytes], seconds: float) -> Fairness:
    alone = load.closed_loop(port, heavy, connections=1, seconds=1.0)
    per_s = 0.5 * alone.answers / alone.elapsed_s
    quiet = load.open_loop(port, light, connections=CONNECTIONS, rate=RATE, seconds=seconds)
    batch = load.start(load._open_loop, port, heavy, 2, per_s, seconds + 1)
    loud = load.open_loop(port, light, connections=CONNECTIONS, rate=RATE, seconds=seconds)
    return Fairness(quiet.quantile_ms(0.99), loud.quantile_ms(0.99), per_s, batch().quantile_ms(0.5))
