from argparse import ArgumentParser
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.analytics.ingest.database import connect
from apps.analytics.ingest.recompute import DAY, Recomputed, day_recompute
from apps.core.errors import NotFound
from apps.tenants.selectors import tenant_by_slug


class Command(BaseCommand):
    help = "Make a tenant's sums of whole days anew from its raw rows. Ingest waits meanwhile."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--since", required=True, type=_date, metavar="YYYY-MM-DD", help="the first day, UTC")
        parser.add_argument("--until", required=True, type=_date, metavar="YYYY-MM-DD", help="the last day")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = tenant_by_slug(options["tenant"])
        except NotFound as error:
            raise CommandError(str(error)) from error
        day, refused = options["since"], 0
        if not day <= options["until"] <= timezone.now():
            raise CommandError("--until must not lie before --since, nor in the future")
        with closing(connect()) as connection:
            while day <= options["until"]:
                done = day_recompute(connection, tenant_id=tenant.id, day=day, now=timezone.now())
                refused += done.outcome is not Recomputed.DONE
                self.stdout.write(f"{day:%Y-%m-%d}: {done.outcome}, {done.before} checks before, {done.after} after")
                day += DAY
        if refused:
            raise CommandError(f"{refused} of the days are as they were")


def _date(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
