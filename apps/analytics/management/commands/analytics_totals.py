import json
from argparse import ArgumentParser
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.analytics.health import ingest_health
from apps.analytics.ingest.database import connect
from apps.analytics.ingest.reckoning import COUNTED, events_spooled, tenant_totals
from apps.core.errors import NotFound
from apps.tenants.selectors import tenant_by_slug

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(2200, 1, 1, tzinfo=UTC)


class Command(BaseCommand):
    help = "What the tables say of a tenant's checks, side by side, and what is still under way."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--since", type=_moment, default=_FIRST, help="ISO 8601, UTC unless it says otherwise")
        parser.add_argument("--until", type=_moment, default=_LAST, help="exclusive")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = tenant_by_slug(options["tenant"])
        except NotFound as error:
            raise CommandError(str(error)) from error
        with closing(connect()) as connection:
            found: dict[str, Any] = tenant_totals(
                connection, tenant_id=tenant.id, since=options["since"], until=options["until"]
            )
        health = ingest_health()
        found["lag_s"], found["dead_letters"] = round(health["lag_s"], 3), int(health["dead_letters"])
        found["spooled"] = events_spooled()
        self.stdout.write(json.dumps(found) if options["json"] else _table(found))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _table(found: dict[str, Any]) -> str:
    lines = [f"{'':8}" + "".join(f"{name:>14}" for name in COUNTED)]
    lines += [
        f"{grain:8}" + "".join(f"{found[grain][name]:>14,}" for name in COUNTED)
        for grain in ("raw", "minute", "hour", "day")
    ]
    lines.append(
        f"lag {found['lag_s']} s, {found['spooled']} events on this spool, {found['dead_letters']} dead letters"
    )
    return "\n".join(lines)
