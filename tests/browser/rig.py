"""The whole service for a browser, all of its processes, on the parts of the environment; Stripe is its stand-in."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from ratelimiter.snapshot.keyring import key_generate

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
READY_S = 60
WEBHOOK_SECRET = "whsec_" + "0" * 24


class Service:
    """Use as a context; `environ` names database, counters, bus and secrets."""

    def __init__(self, environ: dict[str, str], folder: Path):
        portal, door, metrics, stripe = (_free_port() for _ in range(4))
        self.portal_url = f"http://{HOST}:{portal}"
        self.check_url = f"http://{HOST}:{door}/v1/check"
        self.stripe_url = f"http://{HOST}:{stripe}"
        self._folder = folder
        self._environ = environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings.dev",
            "PORTAL_BIND": f"{HOST}:{portal}",
            "PORTAL_URL": self.portal_url,
            "DOOR_BIND": f"{HOST}:{door}",
            "CHECK_URL": self.check_url,
            "METRICS_PORT": str(metrics),
            "DOOR_WORKERS": "2",
            "SPOOL_DIR": str(folder / "spool"),
            "EMAIL_FOLDER": str(folder / "mail"),
            "STRIPE_SECRET_KEY": "sk_test_" + "0" * 24,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": self.stripe_url,
            "SANDBOX_BIND": f"{HOST}:{stripe}",
            "SANDBOX_FILE": str(folder / "stripe.sqlite3"),
            "SANDBOX_WEBHOOK_URL": f"{self.portal_url}/stripe/webhook",
            "SANDBOX_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        self._stack = ExitStack()

    def __enter__(self):
        self.manage("migrate_schemas", "--verbosity", "0", role="owner")
        self.manage("cells_ensure", role="owner")
        self.manage("analytics_ensure", role="owner")
        try:
            self._start("web", "gunicorn", "config.wsgi", "--bind", self._environ["PORTAL_BIND"], "--threads", "8")
            self._start("door", "gunicorn", "--config", "python:ratelimiter.door.gunicorn")
            queues = ("--queues", "default,publish", "--pool", "solo")
            self._start("worker", "celery", "--app", "config", "worker", *queues)
            ingest = ("--queues", "ingest,rollups", "--concurrency", "2", "--hostname", "ingest@%h")
            self._start("ingest", "celery", "--app", "config", "worker", *ingest)
            self._start("ship", sys.executable, "-m", "ratelimiter.events.ship")
            self._start("stripe", sys.executable, "-m", "apps.billing.sandbox")
            self._start("beat", "celery", "--app", "config", "beat", "--schedule", str(self._folder / "beat"))
            _wait_until(lambda: _status(f"{self.portal_url}/pricing") == 200, "the portal", self._folder)
            _wait_until(self._door_knows_its_keys, "the door", self._folder)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error):
        self._stack.close()

    def manage(self, *command: str, role: str = "app") -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT, env=self._environ | {"DATABASE_ROLE": role}, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"manage.py {' '.join(command)} failed: {done.stdout}{done.stderr}"
        return done.stdout

    def confirm(self, email: str) -> None:
        """As the link in the mail would."""
        line = f"EmailAddress.objects.filter(email={email!r}).update(verified=True)"
        self.manage("shell", "--no-imports", "-c", f"from allauth.account.models import EmailAddress; {line}")

    def _door_knows_its_keys(self) -> bool:
        """Until the first sweep it answers 503; then a key that nobody has is refused."""
        authorization = {"Authorization": f"Bearer {key_generate(live=False)}"}
        return _status(urllib.request.Request(self.check_url, b"{}", authorization)) == 401

    def _start(self, name: str, *command: str) -> None:
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", *command] if command[0] == "celery" else list(command),
            cwd=ROOT, env=self._environ, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        self._stack.callback(_end, process)


def _end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until(condition, what: str, folder: Path) -> None:
    deadline = time.monotonic() + READY_S
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(f"{log.name}: {log.read_text()[-800:]}" for log in sorted(folder.glob("*.log")))
            raise AssertionError(f"{what} is not ready after {READY_S} s; {logs}")
        time.sleep(0.2)


def _status(request) -> int:
    """0 while nobody answers."""
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
