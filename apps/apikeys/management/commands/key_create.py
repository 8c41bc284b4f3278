import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.apikeys import services
from apps.apikeys.models import SCOPES
from apps.core.command import WorkingCommand
from apps.core.errors import ApplicationError
from apps.core.scope import tenant_scope
from apps.tenants.selectors import tenant_by_slug


class Command(WorkingCommand):
    help = "Make an API key and print its secret. It is never shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--name", default="Made at the command line")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--live", action="store_true", default=True, help="counts and is billed (the default)")
        kind.add_argument("--test", action="store_false", dest="live", help="separate counters, not billed")
        parser.add_argument("--scope", action="append", choices=SCOPES, help="may be repeated; default: check")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = tenant_by_slug(options["tenant"])
            with tenant_scope(tenant.id):
                issued = services.key_create(
                    tenant_id=tenant.id,
                    name=options["name"],
                    live=options["live"],
                    scopes=options["scope"] or ["check"],
                )
        except ApplicationError as error:
            raise CommandError(error.detail) from None
        if options["json"]:
            answer = {"tenant": tenant.slug, "id": issued.key.id, "live": issued.key.live, "api_key": issued.secret}
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write(issued.secret)
