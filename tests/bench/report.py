"""A run as Markdown: tables between two markers of a document, of which the rest is left as it is."""

from pathlib import Path

from tests.bench.bars import Verdict, verdicts
from tests.bench.contenders import table
from tests.bench.results import Results, Row, Stage

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


class MarkersMissing(ValueError):
    """The document does not say where the tables go."""


def write(path: Path, results: Results) -> None:
    """Raises MarkersMissing."""
    path.write_text(between_markers(path.read_text(), markdown(results)))


def between_markers(document: str, text: str) -> str:
    """The document with `text` in the place of what stood there. Raises MarkersMissing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MarkersMissing(f"the document needs {BEGIN} and, below it, {END}")
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"


def markdown(results: Results) -> str:
    sections = (_machine, _bars, _contenders, _latencies, _store, _profile)
    return "\n\n".join(section(results) for section in sections)


def _machine(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"Measured on {machine.cores} cores, {machine.load:.1f} other processes wanting to run in the minute before. "
        f"{versions}."
    )


def _bars(results: Results) -> str:
    judged = verdicts(results)
    rows = [
        (one.bar.what, f"{'≥' if one.bar.is_least else '≤'} {_number(one.bar.bound)} {one.bar.unit}",
         "–" if one.found is None else f"{_number(one.found)} {one.bar.unit}", f"**{one.word}**")
        for one in judged
    ]  # fmt: skip
    text = "## The bars\n\n" + _table(("what", "bar", "measured", "verdict"), rows, "lrrl")
    missed = [one for one in judged if one.word == "missed"]
    return text + ("\n\n" + _where_it_goes(missed, results) if missed else "")


def _where_it_goes(missed: list[Verdict], results: Results) -> str:
    lines = [f"- {one.bar.what}: {one.bar.because(results)}." for one in missed]
    return "Where a bar is missed, this is where the time goes:\n\n" + "\n".join(lines)


def _contenders(results: Results) -> str:
    heads = ("contender", "what it does", "server µs", "of it kernel", "Redis µs", "checks/s", "a server core")
    rows = [_contender(row) for row in results.rows]
    return (
        "## CPU time per check, at capacity\n\n![CPU time per check, and latency](performance.svg)\n\n"
        + _table(heads, rows, "llrrrrr")
        + "\n\nChecks/s is what this machine did with generator and Redis on the same cores; the last column is what "
        "one core could do for the server alone, from its CPU time."
    )


def _contender(row: Row) -> tuple[str, ...]:
    if row.absent:
        return (row.name, row.absent, *["–"] * 5)
    says = row.says
    if not row.is_sound:
        says += f" ({row.degraded:.0%} answered without the store: the machine stalled, do not read this row)"
    return (
        row.name, says, f"{row.server_us:.1f}", f"{row.system_us:.1f}", f"{row.store_us:.1f}",
        f"{row.checks_per_s:,.0f}", f"{row.per_server_core:,.0f}",
    )  # fmt: skip


def _latencies(results: Results) -> str:
    rows = [
        (f"{one.share:.0%}", f"{one.rate:,.0f}", *(f"{value:.2f}" for value in (one.p50_ms, one.p99_ms, one.p999_ms)))
        for one in results.latencies
    ]
    fair = results.fairness
    return (
        f"## Latency of the {table.TWO_RULES}\n\n"
        + _table(("of capacity", "checks/s", "p50 ms", "p99 ms", "p99.9 ms"), rows, "rrrrr")
        + f"\n\nFairness: the p99 of one tenant's single checks is {fair.alone_ms:.2f} ms alone and "
        f"{fair.beside_ms:.2f} ms beside another tenant's {fair.batches_per_s:.0f} batches a second of 100 checks of "
        f"10 rules (each takes {fair.batch_p50_ms:.1f} ms)."
    )


def _store(results: Results) -> str:
    rows = [
        (one.script, str(one.checks or "–"), f"{one.call_us:.1f}", f"{one.check_us:.1f}" if one.checks else "–")
        for one in results.store
    ]
    heads = ("script", "checks a call", "µs a call", "µs a check")
    return (
        "## Redis alone\n\nCPU time, EVALSHA pipelined 16 deep.\n\n"
        + _table(heads, rows, "lrrr")
        + f"\n\nA live counter (a user's sliding window, with its key) takes {results.counter_bytes:.0f} bytes."
    )


def _profile(results: Results) -> str:
    events = ", ".join(
        f"{one.cpu_us:.2f} µs and {one.bytes:.0f} bytes when {one.together} come together" for one in results.events
    )
    return (
        "## Where a check's time goes\n\nEach stage alone, best of several runs, so the rest also has what caches lose "
        "when everything takes turns. In the door, a check of 2 rules, with a quota and a live key:\n\n"
        + _stages(results.stages, results.row(table.TWO_RULES))
        + "\n\nA decision from a lease, in a batch of 100, one rule:\n\n"
        + _stages(results.leased, results.row(table.LEASES))
        + f"\n\nOne event, made, packed and written to the spool: {events}."
    )


def _stages(stages: list[Stage], row: Row | None) -> str:
    staged = sum(stage.us for stage in stages)
    parts = [*stages, Stage("**these together**", staged)]
    if row is not None:
        rest = max(0.0, row.user_us - staged)
        parts.append(Stage("HTTP, authentication, queues, event loop: the rest in the process", rest))
        parts.append(Stage("the kernel for it: sockets and the spool's file", row.system_us))
        parts.append(Stage("**a check**", row.server_us))
    return _table(("stage", "µs"), [(part.name, f"{part.us:.2f}") for part in parts], "lr")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:.1f}"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]], alignment: str) -> str:
    marks = ["---:" if side == "r" else "---" for side in alignment]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))
