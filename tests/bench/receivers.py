"""`python -m tests.bench.receivers [ENDPOINTS] [HANGING]`: what receivers that hang cost those that do not. Prints.

Every endpoint is another tenant's. One event each waits, as after an outage; then a real Celery worker as in the
Procfile is started. Those that hang keep the connection open for 30 s. Times count from the worker's start, which takes
seconds. By default 1,000 endpoints of which 100 hang.
"""

import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from config.embedded import Parts
from tests.parts import TEST_SECRETS

ROOT = Path(__file__).resolve().parents[2]
HANG_S = 30.0
DEADLINE_S = 120.0


class Receivers:
    """One server for all: the path says which endpoint, and whether it hangs."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.port = 0
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True).start()
        ready.wait()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1_024)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            [length] = re.findall(r"content-length: (\d+)", head.lower())
            await reader.readexactly(int(length))
            path = head.split()[1]
            if "/hangs/" in path:
                await asyncio.sleep(HANG_S)
            else:
                self.at.setdefault(path, time.monotonic())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


def main(endpoints: int, hanging: int) -> None:
    with tempfile.TemporaryDirectory(prefix="receivers-") as folder:
        Path(folder).chmod(0o755)
        parts = Parts.start(Path(folder), durable=False)
        try:
            os.environ.update(parts.environment() | TEST_SECRETS | {"OUTBOUND_ALLOWED": "127.0.0.1/32"})
            os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
            for command in ("migrate_schemas", "cells_ensure"):
                subprocess.run(
                    [sys.executable, "manage.py", command, "--verbosity", "0"],
                    cwd=ROOT, env=os.environ | {"DATABASE_ROLE": "owner"}, check=True,
                )  # fmt: skip
            report = measure(endpoints, hanging, Path(folder))
        finally:
            parts.stop()
    print(json.dumps(report, indent=2))


def measure(endpoints: int, hanging: int, folder: Path) -> dict[str, object]:
    import django

    django.setup()
    from tests.factories import MemberFactory, notice_make
    from tests.notifications.webhooks import webhook_make

    receivers = Receivers()
    kinds = ["hangs"] * hanging + ["answers"] * (endpoints - hanging)
    random.Random(1).shuffle(kinds)
    tenants = []
    for number, kind in enumerate(kinds):
        member = MemberFactory(plan="professional")
        webhook_make(member, f"http://127.0.0.1:{receivers.port}/{kind}/{number}", kinds=["billing.renewal"])
        tenants.append(member.tenant_id)
    _queues_empty()
    for tenant_id in tenants:
        notice_make(tenant_id, kind="billing.renewal")
    started = time.monotonic()
    log = (folder / "worker.log").open("wb")
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "--app", "config", "worker", "--queues", "webhook", "--pool", "threads",
         "--concurrency", os.environ.get("WEBHOOK_CONCURRENCY", "128"), "--without-gossip", "--without-mingle"],
        cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"DATABASE_POOL": "8"},
    )  # fmt: skip
    try:
        wanted = endpoints - hanging
        deadline = time.monotonic() + DEADLINE_S
        while len(receivers.at) < wanted and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        worker.terminate()
        try:
            worker.wait(40)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        log.close()
    waits = sorted(at - started for at in receivers.at.values())
    return {
        "endpoints": endpoints, "hanging": hanging, "delivered": len(waits), "of": wanted,
        "p50_s": round(statistics.median(waits), 2), "p95_s": round(waits[int(0.95 * len(waits)) - 1], 2),
        "max_s": round(waits[-1], 2),
    }  # fmt: skip


def _queues_empty() -> None:
    from config.celery import app

    with app.connection_for_write() as connection:
        for queue in ("webhook", "email", "publish"):
            connection.default_channel.client.delete(queue)


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] + ["1000", "100"][len(sys.argv) - 1 :])))
