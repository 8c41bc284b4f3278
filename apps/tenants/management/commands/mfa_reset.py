from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.core.command import WorkingCommand
from apps.tenants.logins.factors import factors_reset, reset_tell
from apps.tenants.selectors import user_id_by_email


class Command(WorkingCommand):
    help = "Switch off the second step of somebody who has lost it, and log them out everywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user_id = user_id_by_email(options["email"])
        if user_id is None:
            raise CommandError(f"nobody has the address {options['email']}")
        if not factors_reset(user_id=user_id):
            self.stdout.write("there was no second step; everywhere they were logged out")
            return
        told = "a mail tells them" if reset_tell(user_id=user_id) else "NO MAIL could be sent: tell them"
        self.stdout.write(f"removed: the password alone logs in now, and everywhere they were logged out; {told}")
