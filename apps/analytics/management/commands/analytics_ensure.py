from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from apps.analytics import services


class Command(BaseCommand):
    help = "Make the partitions of the next days, drop those that are due, and grant ingest its rights. Owner's role."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=0, metavar="N", help="and the partitions of the past N days")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        ensured = services.tables_ensure(now=now, since=now - timedelta(days=options["days"]))
        self.stdout.write(f"{ensured.made} partitions made, {len(ensured.dropped)} dropped")
