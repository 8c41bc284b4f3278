"""What counting an event costs, from the bus to committed rows: `python -m tests.bench.ingest` (`make bench-ingest`).

CPU seconds of this Python process and of every process of a PostgreSQL of its own (fsync on), per event, on a bus of
Redis Streams. Bars are those of the design; lag is measured under a door that answers as fast as it is asked.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from config.embedded import Parts
from tests.bench import load
from tests.chaos.rig import BATCH, Way
from tests.door.rig import ROOT, check_bytes

EVENTS = int(os.environ.get("BENCH_EVENTS", "400000"))
RECORD_EVENTS = 64
RATES = (6_000, 12_000, 18_000, 25_000)  # checks a second, in batches
CONNECTIONS = 4
BARS = {(False, 1): 250_000, (True, 1): 120_000, (True, 5): 80_000}


@dataclass(frozen=True)
class Case:
    raw: bool = True
    results: int = 1
    tenants: int = 1_000
    batch: int = 50_000
    identifiers: int = 20  # users, and addresses, of a tenant; in the measured round most are known


@dataclass(frozen=True)
class Measured:
    """µs of CPU an event."""

    case: Case
    python_us: float
    postgres_us: float

    @property
    def per_core(self) -> float:
        return 1e6 / (self.python_us + self.postgres_us)


CASES = (
    Case(raw=False), Case(), Case(results=5), Case(raw=False, results=5),
    Case(raw=False, tenants=100_000), Case(tenants=100_000),
    Case(identifiers=100_000),
    *(Case(batch=batch) for batch in (2_000, 5_000, 10_000, 25_000, 100_000)),
)  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        parts = Parts.start(folder, durable=True)
        try:
            _prepare(parts, folder)
            print(
                "| raw rows | results | tenants | batch | users a tenant | Python µs | PostgreSQL µs"
                " | events/s a core | bar |"
            )
            print("|---|---|---|---|---|---|---|---|---|")
            for case in CASES:
                measured = _measure(parts, case)
                bar = (
                    BARS.get((case.raw, case.results), "")
                    if case.tenants == 1_000 and case.batch == 50_000 and case.identifiers == 20
                    else ""
                )
                print(
                    f"| {'yes' if case.raw else 'no'} | {case.results} | {case.tenants:,} | {case.batch:,}"
                    f" | {case.identifiers:,}"
                    f" | {measured.python_us:.2f} | {measured.postgres_us:.2f} | {measured.per_core:,.0f} | {bar} |",
                    flush=True,
                )
        finally:
            parts.stop()
    _lag()


def _lag() -> None:
    """Everything on this machine at once: clients, door, shipper, bus, ingest, PostgreSQL."""
    print("\n| asked for, checks/s | answered | degraded | age of the newest counted check, middle | worst |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        way = Way(Path(name), lambda parts: SimpleNamespace(url=parts.bus_url))
        try:
            payloads = [_batch(key, random.Random(number)) for number, key in enumerate(way.keys)]
            for rate in RATES:
                _lag_at(way, payloads, rate)
        finally:
            way.close()


def _lag_at(way: Way, payloads: list[bytes], rate: int, seconds: float = 20.0) -> None:
    outcome = load.start(load._open_loop, way.port, payloads, CONNECTIONS, rate / BATCH, seconds)
    behind, begun = [], time.monotonic()
    while time.monotonic() - begun < seconds:
        time.sleep(0.25)
        [(age_s,)] = way.rows("SELECT extract(epoch FROM clock_timestamp() - max(at))::float FROM analytics.event")
        behind.append(age_s)
    done = outcome()
    assert set(done.statuses) == {200}, done.statuses
    settled = sorted(age_s for age_s in behind[len(behind) // 4 :] if age_s is not None)
    print(
        f"| {rate:,} | {done.answers * BATCH / done.elapsed_s:,.0f} | {done.degraded / done.answers:.1%}"
        f" | {settled[len(settled) // 2]:.2f} s | {settled[-1]:.2f} s |",
        flush=True,
    )


def _batch(key: str, chance: random.Random) -> bytes:
    checks = [{"route": f"GET /{chance.randrange(50)}", "user": f"u{chance.randrange(500)}"} for _ in range(BATCH)]
    return check_bytes(key, path="/v1/check/batch", checks=checks)


def _prepare(parts: Parts, folder: Path) -> None:
    os.environ.update(parts.environment())
    os.environ.update(
        SECRET_KEY="only-to-measure-" + "0" * 40, KEY_PEPPERS="1:" + "1f" * 32, SPOOL_DIR=str(folder / "spool"),
        DJANGO_SETTINGS_MODULE="config.settings.dev",
    )  # fmt: skip
    for command in ("migrate_schemas", "analytics_ensure"):
        subprocess.run(
            [sys.executable, "manage.py", command, "--verbosity", "0"], cwd=ROOT, check=True,
            env=os.environ | {"DATABASE_ROLE": "owner"}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    import django

    django.setup()


def _measure(parts: Parts, case: Case) -> Measured:
    from django.utils import timezone

    from apps.analytics.ingest.database import connect
    from apps.analytics.ingest.drain import Ingest, Limits
    from ratelimiter.events.buses import reader_make

    events = EVENTS // 2 if case.tenants > EVENTS // 8 or case.results > 1 else EVENTS
    with closing(connect()) as connection, closing(reader_make(parts.bus_url)) as reader:
        for table in ("check_minute", "check_hour", "check_day", "rule_minute", "rule_hour", "rule_day", "event"):
            connection.execute(f"DELETE FROM analytics.{table}")
        limits = Limits(events=case.batch, wait_s=5, raw_a_minute=10**9 if case.raw else 0)
        ingest = Ingest(connection, reader, limits)
        rounds = []
        for number in range(2):  # the first makes rows, the second adds to them, as most batches do
            _fill(parts.bus_url, case, events, boot=f"{id(case) % 2**32:08x}{number:08x}")
            python_s, postgres_s, counted = time.process_time(), _postgres_cpu_s(parts), 0
            while counted < events:
                counted += ingest.batch(now=timezone.now()).events
            python_s, postgres_s = time.process_time() - python_s, _postgres_cpu_s(parts) - postgres_s
            rounds.append(Measured(case, python_s * 1e6 / events, postgres_s * 1e6 / events))
        return rounds[-1]


def _fill(url: str, case: Case, events: int, *, boot: str) -> None:
    from ratelimiter.engine.applied import DENIED, PASSED, outcome_code
    from ratelimiter.events.buses import producer_make
    from ratelimiter.events.schema import VERSION, Event, Group, groups_decode_sealed, groups_encode, record_encode
    from ratelimiter.events.spool import PARTITIONS

    chance = random.Random(3)
    now_ms = time.time_ns() // 1_000_000
    places: dict[int, list[Event]] = {}
    following = dict.fromkeys(range(PARTITIONS), 1)
    with closing(producer_make(url)) as producer:

        def send(partition: int) -> None:
            group = Group(partition, following[partition], places.pop(partition))
            following[partition] += len(group.events)
            producer.send(partition, record_encode(boot, groups_decode_sealed(groups_encode([group]))), _delivered)

        for number in range(events):
            tenant = chance.randrange(case.tenants) + 1
            is_allowed, person = number % 10 > 0, chance.randrange(case.identifiers)
            held = places.setdefault(tenant % PARTITIONS, [])
            held.append(Event(
                VERSION, f"chk_{boot}{number:08x}", now_ms - number % 20_000, 300 + number % 700, tenant, tenant * 2,
                True, "consume", is_allowed, False, "ok" if is_allowed else "rule", 1, "default",
                f"203.0.113.{person}", f"GET /v1/{number % 7}", f"u_{person}", {},
                [outcome_code(tenant * 10 + n, PASSED if is_allowed or n else DENIED) for n in range(case.results)],
            ))  # fmt: skip
            if len(held) == RECORD_EVENTS:
                send(tenant % PARTITIONS)
            if number % 20_000 == 0:
                producer.flush(60)
        for partition in list(places):
            send(partition)
        assert producer.flush(60)


def _delivered(error: Exception | None) -> None:
    assert error is None


def _postgres_cpu_s(parts: Parts) -> float:
    """Of all its processes, those that ended too."""
    [part] = [part for part in parts._parts if part.name == "postgres"]
    assert part.process is not None
    parent = part.process.pid
    ticks = sum(_ticks(parent, ended=True))
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ticks += sum(sum(_ticks(int(child), ended=False)) for child in children)
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int, *, ended: bool) -> list[int]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return [0]
    return [int(ticks) for ticks in fields[11 : 15 if ended else 13]]


if __name__ == "__main__":
    main()
