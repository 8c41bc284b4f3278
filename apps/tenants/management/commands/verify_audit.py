import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import NotFound
from apps.tenants.audit.verifying import chains_verify
from apps.tenants.selectors import tenant_by_slug


class Command(BaseCommand):
    help = "Compute every audit chain anew. Exit code 1, and the first entry that does not hold, when one is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="only this one")
        parser.add_argument("--heads", action="store_true", help="print each chain's head, to be kept elsewhere")
        parser.add_argument("--json", action="store_true", help="print one JSON object a tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tenant"]:
            try:
                tenant_by_slug(options["tenant"])
            except NotFound as error:
                raise CommandError(error.detail) from None
        entries = tenants = 0
        broken: list[str] = []
        for one in chains_verify(slug=options["tenant"]):
            if one.broken is None:
                entries, tenants = entries + one.entries, tenants + 1
            else:
                broken.append(f"{one.slug}: {one.broken}")
            if options["json"]:
                self.stdout.write(json.dumps(asdict(one)))
            elif options["heads"]:
                self.stdout.write(f"{one.slug} {one.entries} {one.hash}")
        if not options["json"]:
            self.stdout.write(f"{entries:,} entries of {tenants:,} tenants hold")
        if broken:
            raise CommandError("\n".join(["broken:", *broken]))
