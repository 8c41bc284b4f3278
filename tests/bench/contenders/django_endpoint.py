"""Our own check endpoint in Django REST framework, as `make run` starts it: one gunicorn worker with 8 threads."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from config.embedded import Parts
from tests.bench.contenders.contender import Running, Site, serving
from tests.bench.contenders.door import QUOTA, Door
from tests.bench.requests import singles
from tests.bench.server import Server
from tests.door.rig import PEPPERS, Keyring

GUNICORN = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--worker-class", "gthread",
            "--workers", "1", "--threads", "8", "--keep-alive", "30", "--log-level", "warning"]  # fmt: skip


@contextmanager
def start(site: Site) -> Iterator[Running]:
    """With PostgreSQL, although a check asks it nothing: keys and rules are read from the snapshots in Redis."""
    given = {"COUNTERS_URL": site.valkey.url, "BUS_URL": site.valkey.url}
    parts = Parts.start(site.folder / "parts", durable=False, environ=given)
    try:
        keyring = Keyring(site.valkey)
        key = keyring.key(keyring.tenant(*Door(rules=2).published(), quota=QUOTA))
        server = Server(
            [*GUNICORN, "config.wsgi"], folder=site.folder, DJANGO_SETTINGS_MODULE="config.settings.base",
            SECRET_KEY="only-for-the-benchmark-" + "0" * 40, KEY_PEPPERS=PEPPERS, DATABASE_POOL="8", DOOR_WORKERS="1",
            SPOOL_DIR=str(site.folder / "spool"), ALLOWED_HOSTS="door", **parts.environment(),
        )  # fmt: skip
        with serving(server, singles([key], path="/api/v1/check")) as running:
            yield running
    finally:
        parts.stop()
