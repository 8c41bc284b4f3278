from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.analytics import services


class Command(BaseCommand):
    help = "Make the partitions of the next days, drop those that are due, and grant ingest its rights. Owner's role."

    def handle(self, *args: Any, **options: Any) -> None:
        ensured = services.tables_ensure(now=timezone.now())
        self.stdout.write(f"{ensured.made} partitions made, {len(ensured.dropped)} dropped")
