from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.sealing import SealBroken
from apps.tenants.privacy.resealing import reseal


class Command(BaseCommand):
    help = "Seal everything with the newest of SEALING_KEYS; afterwards the older ones can be taken away."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = reseal()
        except SealBroken:
            raise CommandError(
                "something here is sealed with a key that SEALING_KEYS lacks; put that key back"
            ) from None
        for column, rows in done.items():
            self.stdout.write(f"{column}: {rows}")
