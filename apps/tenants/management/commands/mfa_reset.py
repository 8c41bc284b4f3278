from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.tenants.factors import factors_reset
from apps.tenants.selectors import user_id_by_email


class Command(BaseCommand):
    help = "Switch off the second step of somebody who has lost it, and log them out everywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user_id = user_id_by_email(options["email"])
        if user_id is None:
            raise CommandError(f"nobody has the address {options['email']}")
        self.stdout.write(f"{factors_reset(user_id=user_id)} removed; the password alone logs in now")
