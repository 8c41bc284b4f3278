import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from apps.core.command import WorkingCommand
from apps.core.errors import ApplicationError
from apps.plans import services
from apps.tenants.selectors import tenant_by_slug


class Command(WorkingCommand):
    help = "Put a tenant on a plan."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--plan", required=True, metavar="CODE", help="free, startup, professional, enterprise")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                tenant = tenant_by_slug(options["tenant"])
                plan = services.plan_set(tenant_id=tenant.id, code=options["plan"])
        except ApplicationError as error:
            raise CommandError(error.detail) from None
        if options["json"]:
            self.stdout.write(json.dumps({"tenant": tenant.slug, "plan": plan.code}))
        else:
            self.stdout.write(f"{tenant.slug} is on {plan.name}")
