import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from apps.core.command import WorkingCommand
from apps.core.errors import ApplicationError
from apps.tenants import selectors, services


class Command(WorkingCommand):
    help = "Make a tenant. Prints its slug."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--slug", help="its place in addresses; made from the name when left out")
        parser.add_argument("--owner", metavar="EMAIL", help="a user who owns it")
        parser.add_argument("--timezone", default="UTC")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        owner_id = None
        if options["owner"]:
            owner_id = selectors.user_id_by_email(options["owner"])
            if owner_id is None:
                raise CommandError(f"nobody signed up as {options['owner']}")
        try:
            with transaction.atomic():
                tenant = services.tenant_create(
                    name=options["name"], owner_id=owner_id, slug=options["slug"], timezone=options["timezone"]
                )
        except ApplicationError as error:
            raise CommandError(" ".join([error.detail, *error.fields.values()])) from None
        if options["json"]:
            self.stdout.write(json.dumps({"id": tenant.id, "tenant": tenant.slug, "name": tenant.name}))
        else:
            self.stdout.write(tenant.slug)
