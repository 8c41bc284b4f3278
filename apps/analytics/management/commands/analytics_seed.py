import os
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from apps.analytics.ingest.database import Connection, connect
from apps.analytics.seeding.seed import DAY, partitions_missing, seed
from apps.analytics.seeding.world import Seeded, tenant_seeded, tenants_ensure
from apps.core.command import WorkingCommand
from apps.core.errors import ApplicationError
from apps.tenants.selectors import TenantInfo, tenant_by_slug

AT_ONCE = 50  # tenants a transaction
CELLS_EVERY = 200  # tenants made until there must be room for as many


class Command(WorkingCommand):
    help = "Fill the analytics of tenants as if they had been at it for a while: for demos and for measuring."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", action="append", default=[], metavar="SLUG", help="one that exists; repeatable")
        parser.add_argument("--tenants", type=int, default=0, metavar="N", help="and N made for this: seed-0001, …")
        parser.add_argument("--days", type=int, default=30, metavar="N", help="how far back")
        parser.add_argument("--replace", action="store_true", help="delete what these tenants' analytics hold")

    def handle(self, *args: Any, **options: Any) -> None:
        started, now, days = time.monotonic(), timezone.now(), options["days"]
        if not options["tenant"] and not options["tenants"]:
            raise CommandError("name tenants with --tenant SLUG, or make some with --tenants N")
        if not 1 <= days <= 365:
            raise CommandError("--days must be between 1 and 365")
        try:
            with connect() as connection:
                _partitions_ensure(connection, since=now - (days + 1) * DAY, days=days + 1)
                tenants = _tenants(options["tenant"], options["tenants"])
                checks = seed(connection, tenants, days=days, now=now, replace=options["replace"], say=self._say)
        except (ApplicationError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from None
        took_s = time.monotonic() - started
        self.stdout.write(f"{checks:,} checks of {len(tenants):,} tenants in {took_s:.0f} s")

    def _say(self, words: str) -> None:
        self.stdout.write(words)


def _partitions_ensure(connection: Connection, *, since: datetime, days: int) -> None:
    """Raises CommandError."""
    if partitions_missing(connection, since=since, now=timezone.now()):
        _as_owner("analytics_ensure", "--days", str(days))


def _tenants(slugs: list[str], count: int) -> list[Seeded]:
    """Raises ApplicationError, CommandError."""
    found: list[TenantInfo] = [tenant_by_slug(slug) for slug in slugs]
    for at in range(0, count, AT_ONCE):
        if at % CELLS_EVERY == 0 and count > AT_ONCE:
            _as_owner("cells_ensure")
        with transaction.atomic():
            found += tenants_ensure(range(at + 1, min(count, at + AT_ONCE) + 1))
    return [tenant_seeded(tenant, rank=rank) for rank, tenant in enumerate(found, 1)]


def _as_owner(*command: str) -> None:
    """In another process, because one has one role. Raises CommandError."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, sys.argv[0], *command],
        env=os.environ | {"DATABASE_ROLE": "owner"}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        reason = " ".join(done.stderr.strip().splitlines()[-1:])
        raise CommandError(f"run {' '.join(command)} with DATABASE_ROLE=owner first; it failed here: {reason}")
