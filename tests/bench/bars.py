"""The bars that the project set itself, and what a run says about each."""

from collections.abc import Callable
from typing import NamedTuple

from tests.bench.contenders import table
from tests.bench.results import Results, Row, Stage

# Measured once, on two cores shared with generator and store, one check per request.
LIMITADOR_PER_S, LIMITADOR_PER_CPU_S = 28_400, 18_300  # Rust, counters in Redis
THROTTLECRAB_PER_CPU_S = 66_300  # Rust, counters in its own memory


class Bar(NamedTuple):
    """`found` is None when the run did not measure it, or too much of it was answered without the store."""

    what: str
    unit: str
    bound: float
    is_least: bool  # the bound is to be reached; otherwise it is not to be passed
    find: Callable[[Results], float | None]
    because: Callable[[Results], str]


class Verdict(NamedTuple):
    bar: Bar
    found: float | None

    @property
    def word(self) -> str:
        if self.found is None:
            return "not measured"
        is_met = self.found >= self.bar.bound if self.bar.is_least else self.found <= self.bar.bound
        return "met" if is_met else "missed"


def verdicts(results: Results) -> list[Verdict]:
    return [Verdict(bar, bar.find(results)) for bar in BARS]


def _of(name: str, value: Callable[[Row], float]) -> Callable[[Results], float | None]:
    def find(results: Results) -> float | None:
        row = results.row(name)
        return value(row) if row is not None and row.is_sound else None

    return find


def _ratio(many: str, one: str, value: Callable[[Row], float]) -> Callable[[Results], float | None]:
    def find(results: Results) -> float | None:
        above, below = _of(many, value)(results), _of(one, value)(results)
        return above / below if above is not None and below else None

    return find


def _p99_at_half(results: Results) -> float | None:
    return next((latency.p99_ms for latency in results.latencies if latency.share == 0.5), None)


def _row_because(*names: str) -> Callable[[Results], str]:
    def because(results: Results) -> str:
        rows = [row for name in names if (row := results.row(name)) is not None]
        return "; ".join(
            f"{row.name}: {row.user_us:.1f} µs in the door's own code and {row.system_us:.1f} µs in the kernel for it, "
            f"{row.store_us:.1f} µs in Redis, {row.checks_per_call:.1f} checks a script call"
            for row in rows
        )

    return because


def _stages_because(name: str, stages: Callable[[Results], list[Stage]]) -> Callable[[Results], str]:
    def because(results: Results) -> str:
        row = results.row(name)
        if row is None:
            return ""
        staged = sum(stage.us for stage in stages(results))
        dearest = sorted(stages(results), key=lambda stage: -stage.us)[:3]
        return (
            f"of {row.server_us:.1f} µs the stages take {staged:.1f} (most of it: "
            f"{', '.join(f'{stage.name} {stage.us:.1f}' for stage in dearest)}), HTTP, authentication, queues and the "
            f"event loop {max(0.0, row.user_us - staged):.1f}, the kernel's part (sockets, the spool's file) "
            f"{row.system_us:.1f}"
        )

    return because


def _store_because(results: Results) -> str:
    row = results.row(table.TWO_RULES)
    by_checks = {one.checks: one for one in results.store if one.script.endswith("2 rules") or not one.checks}
    if row is None or not {0, 1, 64} <= by_checks.keys():
        return ""
    return (
        f"the script alone takes {by_checks[64].check_us:.1f} µs a check with 64 checks a call and "
        f"{by_checks[1].check_us:.1f} with one, of which {by_checks[0].call_us:.1f} are the empty call; the door's "
        f"calls held {row.checks_per_call:.1f} checks on average"
    )


def _clock_because(results: Results) -> str:
    machine = results.machine
    return (
        f"generator, door and Redis shared {machine.cores} cores, on which {machine.load:.1f} other processes wanted "
        "to run: what the clock says counts everybody's turn on a core"
    )


def _memory_because(results: Results) -> str:
    return "the name of a counter holds its tenant, its rule and the hash of its user, beside Redis' own bookkeeping"


def _server_us(row: Row) -> float:
    return row.server_us


def _store_us(row: Row) -> float:
    return row.store_us


def _checks_per_cpu_s(row: Row) -> float:
    return row.per_cpu_s


_single_because = _stages_because(table.TWO_RULES, lambda results: results.stages)
_leased_because = _stages_because(table.LEASES, lambda results: results.leased)
_64 = "with 64 tenants, times one tenant's"
BARS = (
    Bar("the door's CPU a check, 2 rules", "µs", 20, False, _of(table.TWO_RULES, _server_us), _single_because),
    Bar("Redis CPU a check, 2 rules", "µs", 10, False, _of(table.TWO_RULES, _store_us), _store_because),
    Bar(f"the door's CPU {_64}, 2 rules", "×", 1.5, False, _ratio(table.TWO_RULES_64, table.TWO_RULES, _server_us),
        _row_because(table.TWO_RULES_64, table.TWO_RULES)),
    Bar(f"Redis CPU {_64}, 2 rules", "×", 1.5, False, _ratio(table.TWO_RULES_64, table.TWO_RULES, _store_us),
        _row_because(table.TWO_RULES_64, table.TWO_RULES)),
    Bar("p99 of a check at half of capacity", "ms", 5, False, _p99_at_half, _clock_because),
    Bar("decisions through leases, a core of the door", "/s", 200_000, True,
        _of(table.LEASES, lambda row: row.per_server_core), _leased_because),
    Bar("decisions through batches, a core of Redis", "/s", 80_000, True,
        _of(table.BATCHES, lambda row: row.per_store_core), _row_because(table.BATCHES)),
    Bar(f"the door's CPU through leases {_64}", "×", 1.5, False, _ratio(table.LEASES_64, table.LEASES, _server_us),
        _row_because(table.LEASES_64, table.LEASES)),
    Bar(f"Redis CPU through batches {_64}", "×", 1.5, False, _ratio(table.BATCHES_64, table.BATCHES, _store_us),
        _row_because(table.BATCHES_64, table.BATCHES)),
    Bar("memory of a live counter", "B", 150, False, lambda results: results.counter_bytes, _memory_because),
    Bar("checks a second, 1 rule: twice limitador's with Redis", "/s", 2 * LIMITADOR_PER_S, True,
        _of(table.ONE_RULE, lambda row: row.checks_per_s), _clock_because),
    Bar("checks per CPU second of door and Redis, 1 rule: three times limitador's", "/s", 3 * LIMITADOR_PER_CPU_S,
        True, _of(table.ONE_RULE, _checks_per_cpu_s), _row_because(table.ONE_RULE)),
    Bar("decisions per CPU second of door and Redis, leases: throttlecrab's", "/s", THROTTLECRAB_PER_CPU_S, True,
        _of(table.LEASES, _checks_per_cpu_s), _leased_because),
)  # fmt: skip
