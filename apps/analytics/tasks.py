"""Counting what comes, settling hours, and keeping tables. Any of them may be repeated, skipped or killed."""

import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from threading import Event

from celery import shared_task
from django.utils import timezone

from apps.analytics import services
from apps.analytics.alerting import alerts_evaluate
from apps.analytics.digest import digests_send
from apps.analytics.ingest.database import connect
from apps.analytics.ingest.fold import hours_fold
from apps.analytics.ingest.settle import settle as hours_settle
from apps.analytics.ingest.worker import Worker, identifiers_forget, purge

DRAIN_S = 3.0  # the beat sends the next one as often


@shared_task(name="analytics.drain", ignore_result=True)
def drain() -> None:
    until = time.monotonic() + DRAIN_S
    with _sigterm_heard() as stopping:
        _worker().run(lambda: stopping.is_set() or time.monotonic() >= until)


@shared_task(name="analytics.settle")
def settle() -> None:
    """Hours that are whole now, and what is made of whole hours only."""
    with closing(connect()) as connection:
        hours_settle(connection, now=timezone.now())
        hours_fold(connection, now=timezone.now())


@shared_task(name="analytics.alert")
def alert() -> None:
    with closing(connect()) as connection:
        alerts_evaluate(connection, now=timezone.now())


@shared_task(name="analytics.weekly_digest")
def weekly_digest() -> None:
    with closing(connect()) as connection:
        digests_send(connection, now=timezone.now())


@shared_task(name="analytics.purge")
def purge_task() -> None:
    with closing(connect()) as connection:
        purge(connection)


@shared_task(name="analytics.identifiers_forget")
def identifiers_forget_task() -> None:
    with closing(connect()) as connection:
        identifiers_forget(connection)


@shared_task(name="analytics.tables_ensure")
def tables_ensure() -> None:
    services.tables_ensure(now=timezone.now())


@contextmanager
def _sigterm_heard() -> Iterator[Event]:
    """A signal to the whole process group, as Ctrl-C sends it, ends the drain between two batches, not within one."""
    stopping = Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGTERM, before)


@cache
def _worker() -> Worker:
    """One a process; it keeps its connections and what it knows of the partitions that were its own last."""
    return Worker()
