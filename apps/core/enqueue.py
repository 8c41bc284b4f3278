"""The only place that hands work to Celery: by name, after the commit, with ids as keyword arguments.

Services stay free of tasks, and nothing is sent for a transaction that rolled back. When the broker cannot be reached
the request that enqueued still succeeds; sweeps find what was not done, and the failure is logged.
"""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


def enqueue(task: str, **arguments: int | str) -> None:
    transaction.on_commit(lambda: _send(task, arguments))


def enqueue_regardless(task: str, **arguments: int | str) -> None:
    """At once, for work that is needed because this transaction will fail; it must not lean on what that wrote."""
    _send(task, arguments)


def _send(task: str, arguments: dict[str, int | str]) -> None:
    try:
        current_app.send_task(task, kwargs=arguments, retry=False)
    except OperationalError as error:
        log.warning("task_not_sent", task=task, reason=str(error), **arguments)
