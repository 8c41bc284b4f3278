"""`python -m tests.bench.quota_kills [KILLS]`: a paid tenant from 0 to 120 % while its evaluating worker is killed.

Real parts: PostgreSQL, the broker, the Procfile's `ingest` and `notify` as they stand there, two beats. Prints what
each member's mailbox got; every threshold must be there once, in order, with an id of its own. By default 20 kills.
"""

import email
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from email import policy
from pathlib import Path

import psycopg

from config.embedded import Parts
from tests.parts import TEST_SECRETS

ROOT = Path(__file__).resolve().parents[2]
INCLUDED = 1_000_000  # of Startup
CHAIN = re.compile(r"^-{79}$", re.MULTILINE)


def main(kills: int) -> int:
    with tempfile.TemporaryDirectory(prefix="quota-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        parts = Parts.start(Path(folder), durable=False)
        stack.callback(parts.stop)
        mails = Path(folder, "mail")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        os.environ.update(parts.environment() | TEST_SECRETS | {"EMAIL_FOLDER": str(mails), "PATH": path})
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.dev"
        for command in ("migrate_schemas", "cells_ensure", "analytics_ensure"):
            subprocess.run(
                [sys.executable, "manage.py", command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                env=os.environ | {"DATABASE_ROLE": "owner"},
            )  # fmt: skip
        tenant_id = _tenant_make()
        _start(stack, folder, "notify", _procfile("notify"))
        for number in (1, 2):
            beat = f"celery --quiet --app tests.bench.quota_beat beat --schedule {folder}/beat{number}"
            _start(stack, folder, f"beat{number}", beat)
        _drive(parts, tenant_id, Path(folder), kills)
        found = _mailboxes(mails)
    print(json.dumps({"kills": kills, "mailboxes": found}, indent=2))
    return 0 if all(_is_right(mailbox) for mailbox in found.values()) and len(found) == 2 else 1


def _tenant_make() -> int:
    import django

    django.setup()
    from django.db import transaction

    from tests.factories import colleague_make, member_make

    with transaction.atomic():
        member = member_make("owner@acme.example", "Acme", "startup")
        colleague_make(member.tenant_id, "admin", email="admin@acme.example")
    return int(member.tenant_id)


def _drive(parts: Parts, tenant_id: int, folder: Path, kills: int) -> None:
    chance = random.Random(3)
    with psycopg.connect(parts.ingest_url, autocommit=True) as connection, ExitStack() as last:
        for step in range(kills + 1):
            with (folder / "ingest.log").open("ab") as log:
                worker = _spawn(_procfile("ingest"), log)
            connection.execute(
                "INSERT INTO analytics.check_hour AS t (tenant_id, at, namespace, live, allowed, denied, shadow_denied,"
                " degraded, billable, cost, latency) VALUES (%s, date_trunc('hour', now()), 'default', true,"
                " 0, 0, 0, 0, %s, 0, array_fill(0::bigint, ARRAY[32])) ON CONFLICT (tenant_id, at, namespace, live)"
                " DO UPDATE SET billable = t.billable + excluded.billable",
                [tenant_id, INCLUDED * 12 // 10 // kills if step < kills else 0],
            )
            if step < kills:
                _evaluation_wait(connection)
                time.sleep(chance.random())
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
            else:
                last.callback(_end, worker)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and len(_all(folder / "mail")) < 6:
            time.sleep(1)
        time.sleep(5)  # for what should not come


def _evaluation_wait(connection: psycopg.Connection) -> None:
    """Until the worker has asked the database something with the metering role."""
    deadline = time.monotonic() + 60
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ratelimiter-ingest'"
    while not connection.execute(query).fetchone()[0]:
        if time.monotonic() > deadline:
            raise TimeoutError("the worker evaluates nothing")
        time.sleep(0.01)


def _all(mails: Path) -> list[email.message.EmailMessage]:
    texts = [file.read_text() for file in sorted(mails.glob("*.log"), key=lambda file: file.stat().st_mtime)]
    parsed = [email.message_from_string(text.strip(), policy=policy.default) for text in CHAIN.split("\n".join(texts))]
    return [one for one in parsed if one["Subject"]]


def _mailboxes(mails: Path) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for mail in _all(mails):
        found.setdefault(str(mail["To"]), []).append((str(mail["Subject"])[:14], str(mail["Message-ID"])))
    return {
        address: sorted(one, key=lambda entry: int(re.findall(r"\d+", entry[1])[0])) for address, one in found.items()
    }


def _is_right(mailbox: list[tuple[str, str]]) -> bool:
    subjects = [subject for subject, _ in mailbox]
    return subjects == ["Quota 80 % use", "Quota 90 % use", "Quota used up:"] and len(dict(mailbox)) == 3


def _procfile(name: str) -> str:
    [line] = re.findall(rf"^{name}: (.*)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    return str(line)


def _start(stack: ExitStack, folder: str, name: str, command: str) -> None:
    with Path(folder, f"{name}.log").open("ab") as log:
        stack.callback(_end, _spawn(command, log))


def _spawn(command: str, log: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", f"exec env {command}"],
        cwd=ROOT,
        stdout=log,
        stderr=log,
        start_new_session=True,  # type: ignore[arg-type]
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
