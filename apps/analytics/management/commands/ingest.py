import signal
import threading
from argparse import ArgumentParser
from contextlib import closing
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.analytics.ingest.database import connect
from apps.analytics.ingest.worker import Worker, partitions_restart


class Command(BaseCommand):
    help = "Count events from the bus, as the Celery worker does, until SIGTERM. Several of them share the partitions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--restart",
            type=int,
            nargs="+",
            metavar="PARTITION",
            help="let partitions that were stopped go on from the oldest record that the bus still has, and exit",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["restart"] is not None:
            with closing(connect()) as connection:
                restarted = partitions_restart(connection, options["restart"])
            if not restarted:
                raise CommandError("none of these is stopped")
            self.stdout.write(f"restarted {', '.join(map(str, restarted))}")
            return
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        worker = Worker()
        try:
            counted = worker.run(stopping.is_set)
        finally:
            worker.close()
        self.stdout.write(f"{counted.events} events counted, {counted.repeated} came again, {counted.dead} dead")
