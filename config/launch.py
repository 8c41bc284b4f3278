"""`make run`: the whole service on one machine, from parts that come as wheels.

Starts PostgreSQL and two Valkeys, brings the database up to date, makes the demo tenant, runs the Procfile under one
coloured log, and prints where everything is once it answers. Data and secrets live in var/. Ctrl-C stops all.
"""

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from honcho.environ import parse_procfile
from honcho.manager import Manager

from config import reaper
from config.embedded import LOOPBACK, PartFailed, Parts, end_with_parent

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
DEMO = VAR / "demo.json"
BESIDE = VAR / "environment.json"  # manage.py reads it
NEEDED_MB = 500
READY_TIMEOUT_S = 60


def main() -> None:
    (VAR / "static").mkdir(parents=True, exist_ok=True)
    lock = lock_take(VAR)
    own = _environment()
    environment = own | os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    _machine_verify(environment)
    (VAR / "launcher.pid").write_text(str(os.getpid()))
    for schedule in VAR.glob("celerybeat-schedule*"):
        schedule.unlink()  # intervals only; a damaged one would end the beat, and with it everything
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))  # the terminal was closed
    say("Starting PostgreSQL and Redis")
    parts = Parts.start(VAR / "parts", environ=os.environ)
    try:
        environment |= parts.environment()
        _beside_write({name: environment[name] for name in (*own, *parts.environment())})
        say("Bringing the database up to date")
        _manage(environment | {"DATABASE_ROLE": "owner"}, "migrate_schemas", "--verbosity", "0")
        _manage(environment | {"DATABASE_ROLE": "owner"}, "cells_ensure")
        _manage(environment | {"DATABASE_ROLE": "owner"}, "analytics_ensure")
        _manage(environment, "demo", "--path", str(DEMO))
        environment.setdefault("EXAMPLE_KEY", json.loads(DEMO.read_text())["api_key"])  # the landing page's curl works
        parts.keep_alive()
        code = _processes_run(environment)
    except KeyboardInterrupt:
        code = 0
    finally:
        parts.stop()
        (VAR / "launcher.pid").unlink(missing_ok=True)
        BESIDE.unlink(missing_ok=True)
        lock.close()
    sys.exit(code)


def lock_take(folder: Path) -> TextIO:
    """Held until closed, or until the process ends however it ends. Raises PartFailed when another run holds it."""
    lock = (folder / "launcher.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = (folder / "launcher.pid").read_text() if (folder / "launcher.pid").exists() else "unknown"
        raise PartFailed(
            f"This folder's service is running already (process {pid}); stop it with Ctrl-C first."
        ) from None
    return lock


def say(text: str) -> None:
    print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


def _environment() -> dict[str, str]:
    """Our defaults, which the caller's environment overrules, and secrets that are made once and kept."""
    kept = VAR / "secrets.json"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text("{}")
    made = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
        "TOKEN_KEYS": f"1:{secrets.token_hex(32)}",
        "SANDBOX_SECRET_KEY": f"sk_test_{secrets.token_hex(16)}",
        "SANDBOX_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}",
    }
    known: dict[str, str] = json.loads(kept.read_text())
    if made.keys() - known.keys():
        kept.write_text(json.dumps(made | known))
    portal, door = _bind("PORTAL", 8000), _bind("DOOR", 8001)
    defaults = {
        "PORTAL_BIND": portal,
        "DOOR_BIND": door,
        "METRICS_PORT": str(_port(door) + 1),
        "PORTAL_URL": f"http://{portal}",
        "CHECK_URL": f"http://{door}/v1/check",
        "DATABASE_POOL": "8",
        "DOOR_WORKERS": "2",
        "SPOOL_DIR": str(VAR / "spool"),
        "EMAIL_FOLDER": str(VAR / "mail"),
        "LOG_FORMAT": "console",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        "DJANGO_SETTINGS_MODULE": "config.settings.dev",
    }
    held: dict[str, str] = json.loads(kept.read_text())
    return defaults | _stripe(held, portal) | held


def _stripe(held: dict[str, str], portal: str) -> dict[str, str]:
    """Stripe's stand-in, where the caller's environment names no account at Stripe."""
    if os.environ.get("STRIPE_SECRET_KEY"):
        return {}
    bind = os.environ.get("SANDBOX_BIND") or f"{LOOPBACK}:{_port(portal) + 5}"
    return {
        "STRIPE_SECRET_KEY": held["SANDBOX_SECRET_KEY"],
        "STRIPE_WEBHOOK_SECRET": held["SANDBOX_WEBHOOK_SECRET"],
        "STRIPE_API_BASE": f"http://{bind}",
        "SANDBOX_BIND": bind,
        "SANDBOX_FILE": str(VAR / "stripe-sandbox.sqlite3"),
        "SANDBOX_WEBHOOK_URL": f"http://{portal}/stripe/webhook",
    }


def _beside_write(environment: dict[str, str]) -> None:
    """So that `manage.py` commands typed in another terminal find the same parts."""
    BESIDE.touch(mode=0o600)
    BESIDE.write_text(json.dumps(environment))


def _bind(name: str, port: int) -> str:
    """PORTAL_BIND or DOOR_BIND as host:port; PORTAL_PORT or DOOR_PORT change the port alone."""
    return os.environ.get(f"{name}_BIND") or f"{LOOPBACK}:{os.environ.get(f'{name}_PORT', port)}"


def _port(bind: str) -> int:
    """Raises PartFailed."""
    port = bind.rpartition(":")[2]
    if not (port.isdecimal() and 0 < int(port) < 65_535):
        raise PartFailed(f"{port!r} is no port; use a number from 1 to 65534.")
    return int(port)


def _machine_verify(environment: dict[str, str]) -> None:
    """Raises PartFailed with one sentence."""
    free_mb = shutil.disk_usage(VAR).free // 10**6
    if free_mb < NEEDED_MB:
        raise PartFailed(f"There is too little disk: {free_mb} MB are free, {NEEDED_MB} MB are needed.")
    wanted = {
        "the portal (set PORTAL_PORT)": environment["PORTAL_BIND"],
        "the door (set DOOR_PORT)": environment["DOOR_BIND"],
        "metrics (set METRICS_PORT)": f"{LOOPBACK}:{environment['METRICS_PORT']}",
    }
    if "SANDBOX_BIND" in environment:
        wanted["Stripe's stand-in (set SANDBOX_BIND)"] = environment["SANDBOX_BIND"]
    for purpose, bind in wanted.items():
        host, port = bind.rpartition(":")[0], _port(bind)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise PartFailed(f"Port {port} is taken, and {purpose} needs it: {error.strerror}.") from None


def _manage(environment: dict[str, str], *command: str) -> None:
    done = subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise PartFailed(f"manage.py {command[0]} failed; what it said stands above.")


def _processes_run(environment: dict[str, str]) -> int:
    """Returns when every process has ended; one that ends takes the others with it."""
    manager = Manager()
    mark = secrets.token_hex(8)
    environment = environment | {reaper.NAME: mark}
    watcher = subprocess.Popen(
        [sys.executable, "-m", "config.reaper", mark],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.dev"},
        start_new_session=True,
        preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it makes one system call
    )
    commands = dict(parse_procfile((ROOT / "Procfile").read_text()).processes)
    if "SANDBOX_BIND" in environment:
        commands["stripe"] = "python -m apps.billing.sandbox"
    for name, command in commands.items():
        manager.add_process(name, f"exec {_with_variables(command)}", env=environment, cwd=str(ROOT))
    threading.Thread(target=_banner_when_ready, daemon=True).start()
    manager.loop()
    watcher.kill()
    watcher.wait()
    asked_to_stop = {128 + signal.SIGINT, 128 + signal.SIGTERM}
    return 0 if manager.returncode in asked_to_stop else int(manager.returncode or 0)


def _with_variables(command: str) -> str:
    """`exec` takes no assignments, so those that a Procfile line starts with go through env."""
    return f"env {command}" if "=" in command.split(" ", 1)[0] else command


def _banner_when_ready() -> None:
    demo = json.loads(DEMO.read_text())
    deadline = time.monotonic() + READY_TIMEOUT_S
    waiting: dict[str, Callable[[], bool]] = {
        "the portal": lambda: _answers(demo["portal_url"]),
        "the door": lambda: _check_answers(demo),
    }
    while waiting and time.monotonic() < deadline:
        waiting = {what: answers for what, answers in waiting.items() if not answers()}
        time.sleep(0.1)
    if waiting:
        say(f"Still waiting for {' and '.join(waiting)} after {READY_TIMEOUT_S} s; the log above says why.")
        return
    print(_banner(demo), flush=True)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _check_answers(demo: dict[str, str]) -> bool:
    """The demo key is known to the door; a peek counts nothing."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        demo["check_url"], b'{"mode":"peek"}', {"Authorization": f"Bearer {demo['api_key']}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=2):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        return error.code == 429
    except (urllib.error.URLError, OSError):
        return False


def _banner(demo: dict[str, str]) -> str:
    curl = (
        f"curl -i {demo['check_url']} \\\n"
        f"    -H 'Authorization: Bearer {demo['api_key']}' \\\n"
        "    -H 'Content-Type: application/json' \\\n"
        """    -d '{"route": "POST /v1/chat", "user": "u_42"}'"""
    )
    return f"""
────────────────────────────────────────────────────────────────────────
  Portal   {demo["portal_url"]}
  Login    {demo["email"]}   {demo["password"]}
  Staff    {demo["portal_url"]}/staff/   {demo["staff_email"]}   {demo["staff_password"]}
  API key  {demo["api_key"]}

  Ask whether a request may pass (a few times, until it may not):

  {curl}

  The same is in var/demo.json. Ctrl-C stops everything.
────────────────────────────────────────────────────────────────────────
"""


if __name__ == "__main__":
    main()
