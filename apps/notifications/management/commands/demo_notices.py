"""One notice of every kind, as its example has it: to look at inbox, mails and channels."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.core.errors import NotFound
from apps.notifications.kinds import LISTED
from apps.notifications.services import notify
from apps.tenants.selectors import tenant_by_slug


class Command(BaseCommand):
    help = "Tells a tenant one notice of every kind, with made-up numbers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="the slug in its URLs")
        parser.add_argument("--json", action="store_true", help="print JSON for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = tenant_by_slug(options["tenant"])
        except NotFound as error:
            raise CommandError(error.detail) from None
        now = timezone.now()
        for kind in LISTED:
            notify(tenant_id=tenant.id, kind=kind.code, dedupe_key=f"demo {now.isoformat()}", context=kind.example)
        if options["json"]:
            print(json.dumps({"tenant": tenant.slug, "notices": len(LISTED)}))
        else:
            print(f"{len(LISTED)} notices for {tenant.slug}")
