"""Clients that others' generators make of the OpenAPI document compile, and work against a server."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.core import enqueue
from apps.limits import publishing
from config.celery import app as celery
from tests.factories import key_make

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TOOLS = Path(sys.executable).parent  # uv, ruff, node, npm
AT_ONCE = {"limits.snapshot_publish", "limits.key_publish"}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def said(alice, judge, monkeypatch, live_server):
    """(url, a key that may everything)"""
    celery.loader.import_default_modules()

    def send(task, arguments):
        if task in AT_ONCE:
            celery.tasks[task](**arguments)

    monkeypatch.setattr(enqueue, "_send", send)
    publishing.sweep(now=timezone.now())
    return live_server.url, key_make(alice.tenant_id, scopes=["admin", "check"]).secret


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "openapi.json"
    call_command("spectacular", "--format", "openapi-json", "--file", str(path))
    return path


def run(*command, folder):
    path = os.pathsep.join([str(TOOLS), os.environ.get("PATH", "")])
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout


def test_a_client_for_python_is_generated_without_a_warning_and_works(said, document, tmp_path):
    run(TOOLS / "uv", "venv", "--python", sys.executable, "venv", folder=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    lock = ROOT / "requirements" / "clients.txt"
    run(TOOLS / "uv", "pip", "install", "--python", python, "--require-hashes", "-r", lock, folder=tmp_path)
    run(
        python.parent / "openapi-python-client", "generate", "--path", document, "--meta", "none", "--fail-on-warning",
        "--output-path", "ratelimiter_client", folder=tmp_path,
    )  # fmt: skip
    run(python, "-W", "error", "-m", "compileall", "-q", "ratelimiter_client", folder=tmp_path)
    shutil.copy(HERE / "python" / "smoke.py", tmp_path)
    assert run(python, "smoke.py", *said, folder=tmp_path) == "all well\n"


def test_a_client_for_typescript_is_generated_compiles_strictly_and_works(said, document, tmp_path):
    shutil.copytree(HERE / "typescript", tmp_path, dirs_exist_ok=True)
    run(TOOLS / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=tmp_path)
    made = tmp_path / "node_modules" / ".bin"
    run(made / "openapi-typescript", document, "--output", "api.d.ts", folder=tmp_path)
    run(
        made / "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--noEmitOnError", "--skipLibCheck",
        "--outDir", "out", "smoke.ts", folder=tmp_path,
    )  # fmt: skip
    assert run(TOOLS / "node", "out/smoke.js", *said, folder=tmp_path) == "all well\n"
