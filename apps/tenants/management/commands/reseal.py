from typing import Any

from django.core.management.base import BaseCommand

from apps.tenants.resealing import reseal


class Command(BaseCommand):
    help = "Seal everything with the newest of SEALING_KEYS; afterwards the older ones can be taken away."

    def handle(self, *args: Any, **options: Any) -> None:
        for column, rows in reseal().items():
            self.stdout.write(f"{column}: {rows}")
