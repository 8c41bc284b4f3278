"""gunicorn's configuration of the door: `gunicorn -c python:ratelimiter.door.gunicorn`."""

import os
import shutil
import socket
import tempfile
from typing import Any

from ratelimiter.door.settings import settings_read

_settings = settings_read()
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

bind = _settings.door_bind
workers = _settings.door_workers
worker_class = "ratelimiter.door.worker.DoorWorker"
wsgi_app = "ratelimiter.door.worker"  # gunicorn wants a name; the worker class never loads it
proc_name = "door"
backlog = 2_048
timeout = 30
graceful_timeout = _settings.door_drain_s + 5
control_socket_disable = True

# prometheus_client reads this when it is imported, which the workers do.
_own_folder = _METRICS_FOLDER not in os.environ
os.environ.setdefault(_METRICS_FOLDER, tempfile.mkdtemp(prefix="door-metrics-") if _own_folder else "")

metrics_socket: socket.socket | None = None


def on_starting(_: Any) -> None:
    """The arbiter listens for /metrics, so that all workers share one port, also across an upgrade (USR2)."""
    global metrics_socket  # noqa: PLW0603 - gunicorn's hooks are functions of this module
    metrics_socket = socket.socket()
    metrics_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    metrics_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        metrics_socket.bind((_settings.metrics_host, _settings.metrics_port))
    except OSError as error:
        raise SystemExit(f"METRICS_PORT: {_settings.metrics_port} cannot be listened on: {error.strerror}") from None
    metrics_socket.listen(16)


def child_exit(_: Any, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_: Any) -> None:
    if _own_folder:
        shutil.rmtree(os.environ[_METRICS_FOLDER], ignore_errors=True)
