"""What an export costs: `python -m tests.bench.export` (BENCH_EVENTS=1000000).

One tenant's generated events in a PostgreSQL of its own, written to a zip by a process of its own, whose peak memory is
read at its end.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from config.embedded import Parts
from tests.bench.ingest import _prepare
from tests.door.rig import ROOT

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
USERS = 50_000
BAR_S = 300
_FILL = f"""
INSERT INTO analytics.event
SELECT %(tenant)s, now() - (n %% 1000) * interval '1 minute', 'chk_' || lpad(to_hex(n), 24, '0'), 1, true, 'consume',
       n %% 10 <> 0, false, CASE WHEN n %% 10 = 0 THEN 'limit_exceeded' ELSE 'ok' END, 1, 300 + n %% 900, 'default', 1,
       hashint8extended(n %% {USERS}, 1), hashint8extended(n %% 20, 2), hashint8extended(n %% {USERS}, 3),
       jsonb_build_object('device', hashint8extended(n %% 7, 4)), ARRAY[(4711 << 2) + (n %% 2), 4712 << 2]
FROM generate_series(1, %(events)s) AS n
"""
_IDENTIFIERS = f"""
INSERT INTO analytics.identifier SELECT %(tenant)s, hashint8extended(n, 3), 'user', 'u_' || n
FROM generate_series(1, {USERS}) AS n ON CONFLICT DO NOTHING
"""
_MAKE = """
import json, resource, sys, time
import django
django.setup()
from pathlib import Path
from django.utils import timezone
from apps.tenants.privacy.archive import archive_write
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun, cpu = time.monotonic(), time.process_time()
made = archive_write(tenant_id=int(sys.argv[1]), path=Path(sys.argv[2]), now=timezone.now())
print(json.dumps({
    "s": time.monotonic() - begun, "cpu_s": time.process_time() - cpu, "rows": sum(one.rows for one in made.entries),
    "plain": sum(one.bytes for one in made.entries), "size": made.size_bytes, "before_kb": before,
    "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
}))
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        parts = Parts.start(folder, durable=True)
        try:
            _prepare(parts, folder)
            tenant_id = _fill()
            asked = [sys.executable, "-c", _MAKE, str(tenant_id), str(folder / "export.zip")]
            answer = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True, env=os.environ)
            found = json.loads(answer.stdout)
        finally:
            parts.stop()
    print(
        f"{found['rows']:,} rows in {found['s']:.1f} s ({found['rows'] / found['s']:,.0f} rows/s, Python"
        f" {found['cpu_s']:.1f} s of CPU), {found['plain'] / 2**20:,.0f} MiB as {found['size'] / 2**20:,.0f} MiB;"
        f" memory {found['before_kb'] / 1024:.0f} MiB before, {found['peak_kb'] / 1024:.0f} MiB at most; bar {BAR_S} s"
    )


def _fill() -> int:
    from contextlib import closing

    from apps.analytics.ingest.database import connect
    from apps.tenants.services import tenant_create

    subprocess.run(
        [sys.executable, "manage.py", "cells_ensure"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
        env=os.environ | {"DATABASE_ROLE": "owner"},
    )  # fmt: skip
    tenant_id = tenant_create(name="Export", owner_id=None).id
    with closing(connect()) as connection:
        connection.execute(_FILL, {"tenant": tenant_id, "events": EVENTS})
        connection.execute(_IDENTIFIERS, {"tenant": tenant_id})
    return tenant_id


if __name__ == "__main__":
    main()
