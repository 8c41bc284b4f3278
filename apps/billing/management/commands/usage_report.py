import json
from argparse import ArgumentParser
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.analytics.ingest.database import connect
from apps.billing.gateways.errors import StripeRefused, StripeUnknown
from apps.billing.gateways.stripe import gateway
from apps.billing.money import dollars, in_dollars
from apps.billing.periods import periods_until
from apps.billing.rating import HOUR, BilledPeriod
from apps.billing.reconciliation import StripeSide, usage_report
from apps.billing.selectors import account_of
from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.limits.quotas import quota_count
from apps.limits.selectors import sharding_of
from apps.plans.periods import hour_of
from apps.plans.selectors import quota_of, terms_of
from apps.tenants.selectors import tenant_by_slug


class Command(BaseCommand):
    help = "A tenant's billable checks as doors, rollups, ledger and bill have them; periods that begin in a month."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--period", required=True, type=_month, metavar="YYYY-MM")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        now, month = timezone.now(), options["period"]
        try:
            tenant = tenant_by_slug(options["tenant"])
            quota, terms = quota_of(tenant.id, now), terms_of(tenant.id)
        except NotFound as error:
            raise CommandError(str(error)) from error
        with tenant_scope(tenant.id):
            sharding = sharding_of(tenant.id)
        periods = [
            period
            for period in periods_until(terms, now)
            if (period.starts_at.year, period.starts_at.month) == (month.year, month.month)
        ]
        if not periods:
            raise CommandError(f"no period of {tenant.slug} begins in {month:%Y-%m}")
        reports = []
        with closing(connect()) as connection:
            for period in periods:
                is_current = period.starts_at == quota.period.starts_at
                doors = quota_count(tenant_id=tenant.id, period=quota.period, sharding=sharding) if is_current else None
                stripe = _stripe(tenant.id, period, now)
                reports.append(usage_report(connection, tenant_id=tenant.id, period=period, doors=doors, stripe=stripe))
        self.stdout.write(json.dumps(reports) if options["json"] else "\n\n".join(map(_text, reports)))


def _stripe(tenant_id: int, period: BilledPeriod, now: datetime) -> StripeSide | None:
    """None where Stripe is not used or does not answer, and for who is no customer."""
    account = account_of(tenant_id)
    if account is None or not settings.STRIPE_SECRET_KEY:
        return None
    until = min(period.ends_at, hour_of(now) + HOUR)
    try:
        metered = gateway().usage_told(
            customer=account.customer, meter=gateway().meter_ensure(), since=period.starts_at, until=until
        )
        charged = gateway().charges.of(account.customer, since=period.starts_at).cents.get(period.starts_at, 0)
        preview = gateway().charges.preview(account.subscription) if account.is_paying else None
    except (StripeUnknown, StripeRefused):
        return None
    return StripeSide(metered, charged, preview)


def _month(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)


def _text(report: dict[str, Any]) -> str:
    lines = [f"{report['period']['starts_at']} to {report['period']['ends_at']}, {report['plan']}"]
    lines += [
        f"  {name:16}{report[name] if report[name] is not None else 'unknown':>16}"
        for name in (
            "doors",
            "rollups",
            "unsettled",
            "ledger",
            "billed",
            "included",
            "overage",
            "to_tell",
            "told",
            "acknowledged",
            "charged_cents",
            "preview_cents",
            "missing_events",
        )
    ]
    lines += [
        f"  {line['kind']:10}{line['quantity']:>16,} × {dollars(line['unit_micro_cents'])}"
        f" = {in_dollars(line['amount_cents'])}"
        for line in report["lines"]
    ]
    lines.append(f"  total {in_dollars(report['total_cents'])}, {len(report['differences'])} hours differ")
    return "\n".join(lines)
