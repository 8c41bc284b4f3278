"""One contender at capacity: started, warmed up, asked as fast as it answers, and stopped."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tests.bench import load
from tests.bench.contenders.contender import Contender, Running, Site
from tests.bench.processes import Cpu, cpu, tree_cpu
from tests.bench.results import Row
from tests.door.rig import Valkey

WINDOWS = 3  # so that one stall of the machine is not what is told
Found = TypeVar("Found")


class Wrong(Exception):
    """The contender answered what it must not."""


@contextlib.contextmanager
def started(contender: Contender, valkey: Valkey) -> Iterator[Running]:
    valkey.client.flushall()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with contender.start(Site(valkey, Path(name))) as running:
            yield running


def measure(contender: Contender, valkey: Valkey, *, seconds: float) -> Row:
    """The middle one of WINDOWS, of those in which the machine did not stall; `seconds` for all. Raises Wrong."""
    if contender.absent():
        return Row(contender.name, contender.says, absent=contender.absent())
    with started(contender, valkey) as running:
        warm_up(contender, running, seconds=seconds / 3)
        rows = [_at_capacity(contender, running, valkey, seconds / WINDOWS) for _ in range(WINDOWS)]
    sound = [row for row in rows if row.is_sound]
    return middle(sound, by=lambda row: row.server_us) if sound else min(rows, key=lambda row: row.degraded)


def middle(found: list[Found], *, by: Callable[[Found], float]) -> Found:
    return sorted(found, key=by)[len(found) // 2]


def warm_up(contender: Contender, running: Running, *, seconds: float) -> load.Outcome:
    """Long enough for every caller to have been seen."""
    return load.closed_loop(
        running.port, running.payloads, connections=contender.connections, seconds=max(0.5, seconds)
    )


def _at_capacity(contender: Contender, running: Running, valkey: Valkey, seconds: float) -> Row:
    store = valkey.process.pid
    calls, server_cpu, store_cpu = _script_calls(valkey), tree_cpu(running.process), cpu(store)
    outcome = load.closed_loop(running.port, running.payloads, connections=contender.connections, seconds=seconds)
    checks = outcome.answers * contender.checks
    server: Cpu = tree_cpu(running.process).since(server_cpu, per=checks)
    store_us = cpu(store).since(store_cpu, per=checks).total_us
    calls = _script_calls(valkey) - calls
    outcome_verify(contender, outcome)
    return Row(
        contender.name, contender.says, checks_per_s=checks / outcome.elapsed_s, user_us=server.user_us,
        system_us=server.system_us, store_us=store_us, checks_per_call=checks / calls if calls else 0.0,
        degraded=outcome.degraded / outcome.answers,
    )  # fmt: skip


def outcome_verify(contender: Contender, outcome: load.Outcome) -> None:
    """Raises Wrong: a contender that is fast because it answers errors is not measured."""
    for status, count in outcome.statuses.items():
        least, most = contender.shares.get(status, (0.0, 0.0))
        if not least <= count / outcome.answers <= most:
            raise Wrong(
                f"{contender.name} answered {outcome.statuses}, and {status} should have {least:.0%}–{most:.0%}"
            )
    if outcome.faulty:
        raise Wrong(f"{contender.name}: {outcome.faulty} batches hold an entry that is no 200")


def _script_calls(valkey: Valkey) -> int:
    found = valkey.client.info("commandstats").get("cmdstat_evalsha", {})
    return found.get("calls", 0)
