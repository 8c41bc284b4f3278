"""What a check costs: `python -m tests.bench.door [--quick]`.

CPU is read from /proc/<pid>/stat of the door's worker and of Valkey, so a noisy machine moves the latencies but hardly
the costs. Latencies include the load generator's own scheduling.
"""

import argparse
import os
import random
import tempfile
from pathlib import Path

from ratelimiter.engine.rules import Algorithm, RuleType
from tests.bench import load
from tests.door.rig import DoorProcess, Keyring, Valkey, check_bytes, rule

CONNECTIONS = 64
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    checks = 5_000 if parser.parse_args().quick else 40_000
    with tempfile.TemporaryDirectory(prefix="door-bench-") as folder:
        valkey = Valkey(Path(folder) / "valkey")
        keyring = Keyring(valkey)
        door = DoorProcess(valkey, Path(folder) / "spool")
        try:
            print_costs(valkey, keyring, door, checks)
            print_fairness(keyring, door, 2.0 if checks < 10_000 else 6.0)
        finally:
            door.stop()
            valkey.stop()


def print_costs(valkey, keyring, door, checks):
    print(f"{'rules':>5} {'tenants':>7} {'checks/s':>9} {'door µs':>8} {'redis µs':>8} {'p50 ms':>7} {'p99 ms':>7}")
    for tenants in (1, 64):
        for rules in (1, 2, 5, 10):
            payloads = payloads_of(keyring, tenants=tenants, rules=rules)
            load.closed_loop(door.port, payloads, connections=CONNECTIONS, total=checks // 10 + 2 * len(payloads))
            before = cpu_us(door.workers()[0]), cpu_us(valkey.process.pid)
            full = load.closed_loop(door.port, payloads, connections=CONNECTIONS, total=checks)
            after = cpu_us(door.workers()[0]), cpu_us(valkey.process.pid)
            assert full.statuses == {200: checks}, full.statuses
            capacity = checks / full.elapsed_s
            half = load.open_loop(
                door.port, payloads, connections=CONNECTIONS, rate=capacity / 2, seconds=checks / capacity
            )
            door_us, redis_us = ((late - early) / checks for early, late in zip(before, after, strict=True))
            print(
                f"{rules:>5} {tenants:>7} {capacity:>9.0f} {door_us:>8.1f} {redis_us:>8.1f} "
                f"{half.quantile_ms(0.5):>7.2f} {half.quantile_ms(0.99):>7.2f}",
                flush=True,
            )
    print("door µs and redis µs: CPU per check at capacity; p50 and p99: at half of it")


def print_fairness(keyring, door, seconds):
    """One tenant's batches of 100 checks of 10 rules, beside another's single checks at half of what is left."""
    import json

    heavy = keyring.key(keyring.tenant(*[rule(f"h{n}", type=RuleType.USER, key=("user",)) for n in range(10)]))
    body = json.dumps({"checks": [{"user": f"u{n}"} for n in range(100)]}).encode()
    head = f"POST /v1/check/batch HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {heavy}\r\n"
    batch = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    single = payloads_of(keyring, tenants=1, rules=2)
    alone = load.closed_loop(door.port, [batch], connections=1, total=60)
    batches_a_second = 0.5 * 60 / alone.elapsed_s  # half of the door's time goes to the heavy tenant
    quiet = load.open_loop(door.port, single, connections=CONNECTIONS, rate=2_000, seconds=seconds)
    beside = load.start(load._open_loop, door.port, [batch], 2, batches_a_second, seconds + 1)
    loud = load.open_loop(door.port, single, connections=CONNECTIONS, rate=2_000, seconds=seconds)
    batches = beside()
    print(
        f"fairness: p99 of single checks {quiet.quantile_ms(0.99):.2f} ms alone, {loud.quantile_ms(0.99):.2f} ms "
        f"beside {batches_a_second:.0f} batches/s of 100 checks x 10 rules (each {batches.quantile_ms(0.5):.1f} ms)"
    )


def payloads_of(keyring, *, tenants, rules):
    """A thousand different requests: users and addresses vary, limits are never reached."""
    payloads = []
    for _ in range(tenants):
        key = keyring.key(
            keyring.tenant(
                rule("user-day", type=RuleType.USER, key=("user",), algorithm=Algorithm.SLIDING_WINDOW),
                *[
                    rule(
                        f"r{n}", window_ms=60_000 * n, algorithm=(Algorithm.FIXED_WINDOW, Algorithm.TOKEN_BUCKET)[n % 2]
                    )
                    for n in range(1, rules)
                ],
            )
        )
        payloads += [
            check_bytes(
                key,
                headers={"User-Agent": "bench", "Accept": "*/*", "Content-Type": "application/json"},
                user=f"u{n % 300}", ip=f"198.51.100.{n % 250}", route="POST /v1/chat",
            )
            for n in range(max(16, 1_024 // tenants))
        ]  # fmt: skip
    random.Random(1).shuffle(payloads)
    return payloads


def cpu_us(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


if __name__ == "__main__":
    main()
