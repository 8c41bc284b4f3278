"""Posting usage. Any of them may be repeated, skipped or killed."""

from contextlib import closing
from datetime import datetime

from celery import shared_task
from django.utils import timezone

from apps.analytics.ingest.database import connect
from apps.billing import ledger
from apps.billing.metering import quota_counters_raise
from apps.billing.overage import overage_make
from apps.billing.periods import period_of, periods_until
from apps.billing.rating import BilledPeriod
from apps.core.errors import NotFound
from apps.plans.selectors import terms_of


@shared_task(name="billing.usage_post")
def usage_post() -> None:
    with closing(connect()) as connection:
        ledger.usage_post(connection, now=timezone.now(), period_end=period_end)
        overage_make(connection, now=timezone.now(), periods_of=periods_of)


@shared_task(name="billing.usage_correct")
def usage_correct() -> None:
    with closing(connect()) as connection:
        ledger.usage_correct(connection, now=timezone.now(), period_end=period_end)


@shared_task(name="billing.quota_counters_raise")
def quota_raise() -> None:
    with closing(connect()) as connection:
        quota_counters_raise(connection, now=timezone.now())


def periods_of(tenant_id: int) -> list[BilledPeriod]:
    try:
        return periods_until(terms_of(tenant_id), timezone.now())
    except NotFound:  # the tenant is gone, and was billed
        return []


def period_end(tenant_id: int, usage_hour: datetime) -> datetime:
    try:
        return period_of(terms_of(tenant_id), usage_hour).ends_at
    except NotFound:  # the tenant is gone: its last bill is final
        return usage_hour
