from typing import Any

from django.core.management.base import BaseCommand

from apps.tenants import services


class Command(BaseCommand):
    help = "Make a cell when no open one has room to spare. Needs DATABASE_ROLE=owner."

    def handle(self, *args: Any, **options: Any) -> None:
        made = services.cells_ensure()
        self.stdout.write(f"{made} cell made" if made else "there is room already")
