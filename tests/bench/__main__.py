"""What a check costs, beside what else there is: `python -m tests.bench [--quick]`.

Runs everything once, prints it, and writes docs/performance.md and its picture; `--quick` asks less of fewer contenders
and writes nothing there. `--again` writes the report of the last run anew without measuring.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.bench import event, fairness, latency, measure, memory, plot, report, stages, store
from tests.bench.contenders.contender import Contender
from tests.bench.contenders.table import CONTENDERS, TWO_RULES
from tests.bench.results import Machine, Results, Row
from tests.door.rig import ROOT, Valkey

DOCUMENT, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
KEPT = ROOT / "var" / "bench.json"
PACKAGES = ("uvloop", "httptools", "gunicorn", "django", "djangorestframework", "fastapi", "uvicorn", "limits")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run of less than a minute")
    parser.add_argument("--again", action="store_true", help="write the last run's report anew")
    asked = parser.parse_args()
    if asked.again:
        results = msgspec.json.decode(KEPT.read_bytes(), type=Results)
    else:
        results = run(
            [contender for contender in CONTENDERS if contender.is_quick or not asked.quick],
            seconds=0.6 if asked.quick else 7.5,
        )
        print(report.markdown(results).partition("## The bars")[2])
    if asked.quick:
        return
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    report.write(DOCUMENT, results)
    plot.draw(PICTURE, results)
    print(f"{DOCUMENT.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)} are written.")


def run(contenders: list[Contender], *, seconds: float) -> Results:
    """`seconds` for each contender and each of the other measurements, and a few for starting each."""
    with tempfile.TemporaryDirectory(prefix="bench-store-") as folder:
        valkey = Valkey(Path(folder) / "valkey")
        try:
            machine = _machine(valkey)
            rows = [_measured(contender, valkey, seconds) for contender in contenders]
            two_rules = next(contender for contender in CONTENDERS if contender.name == TWO_RULES)
            return Results(
                machine,
                rows,
                store.measure(valkey, seconds=seconds / 2),
                memory.measure(valkey),
                latency.measure(two_rules, valkey, seconds=2 * seconds),
                fairness.measure(valkey, seconds=seconds),
                event.measure(events=int(20_000 * seconds)),
                stages.measured(stages.single_stages()),
                stages.measured(stages.leased_stages()),
            )
        finally:
            valkey.stop()


def _measured(contender: Contender, valkey: Valkey, seconds: float) -> Row:
    row = measure.measure(contender, valkey, seconds=seconds)
    found = (
        f"{row.checks_per_s:9,.0f}/s  server {row.server_us:7.1f} µs  Redis {row.store_us:6.1f} µs a check"
        + ("" if row.is_sound else f"  {row.degraded:.0%} without the store")
    )  # fmt: skip
    print(f"{row.name:<28} {row.absent or found}", flush=True)
    return row


def _machine(valkey: Valkey) -> Machine:
    versions = {"Python": platform.python_version(), "Valkey": valkey.client.info("server")["valkey_version"]}
    versions |= {package: importlib.metadata.version(package) for package in PACKAGES}
    if program := shutil.which("nginx"):
        said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
        versions["nginx"] = re.search(r"[\d.]+", said)[0]
    return Machine(os.cpu_count() or 1, os.getloadavg()[0], versions)


if __name__ == "__main__":
    sys.exit(main())
