"""The base of management commands that change tenants: it is written down as their doing."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.core.origin import working


class WorkingCommand(BaseCommand):
    def execute(self, *args: Any, **options: Any) -> str | None:
        with working("command", f"manage.py {type(self).__module__.rpartition('.')[2]}"):
            return super().execute(*args, **options)
