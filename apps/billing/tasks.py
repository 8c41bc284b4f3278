"""Posting usage. Any of them may be repeated, skipped or killed."""

from contextlib import closing
from datetime import datetime, timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from apps.analytics.ingest.database import connect
from apps.billing import (
    accounts,
    erasing,
    giving,
    happenings,
    ledger,
    notices,
    reconciliation,
    settling,
    spending,
    telling,
)
from apps.billing.gateways.errors import StripeUnknown
from apps.billing.gateways.stripe import gateway
from apps.billing.metering import quota_counters_raise
from apps.billing.models import Account
from apps.billing.overage import overage_make
from apps.billing.periods import period_of, periods_until
from apps.billing.quota_notices import quotas_evaluate
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


@shared_task(name="billing.usage_compare")
def usage_compare() -> None:
    with closing(connect()) as connection:
        reconciliation.compare(connection, now=timezone.now())


@shared_task(name="billing.quota_counters_raise")
def quota_raise() -> None:
    with closing(connect()) as connection:
        quota_counters_raise(connection, now=timezone.now())


@shared_task(name="billing.quota_notify")
def quota_notify(hours: int = 1) -> None:
    with closing(connect()) as connection:
        now = timezone.now()
        quotas_evaluate(connection, active_since=now - timedelta(hours=hours), now=now)


@shared_task(name="billing.overage_tell")
def overage_tell() -> None:
    if not settings.STRIPE_SECRET_KEY:
        return
    customers = dict(Account.objects.values_list("tenant_id", "customer"))
    with closing(connect()) as connection:
        telling.overage_tell(connection, gateway(), customers=customers, now=timezone.now())


@shared_task(name="billing.happenings_relay")
def happenings_relay() -> None:
    """Whatever the bus has not got yet."""
    now = timezone.now()
    with closing(connect()) as connection:
        while happenings.happenings_relay(connection, now=now):
            pass
        while happenings.usage_relay(connection):
            pass
    happenings.happenings_purge(now=now)


@shared_task(name="billing.account_sync", autoretry_for=(StripeUnknown,), max_retries=5, retry_backoff=2)
def account_sync(customer: str) -> None:
    _sync(customer)


@shared_task(name="billing.periods_settle")
def periods_settle() -> None:
    if not settings.STRIPE_SECRET_KEY:
        return
    with closing(connect()) as connection:
        settling.periods_settle(connection, gateway(), now=timezone.now())


@shared_task(name="billing.accounts_sweep")
def accounts_sweep() -> None:
    """For news that never came."""
    if not settings.STRIPE_SECRET_KEY:
        return
    for customer in accounts.accounts_unseen(now=timezone.now()):
        _sync(customer)


def _sync(customer: str) -> None:
    if accounts.account_sync(gateway(), customer=customer, now=timezone.now()) is not None:
        gateway().charges.drafts_hold(customer, grace=settling.DRAFTS_WAIT)


@shared_task(name="billing.mirror_sync", autoretry_for=(StripeUnknown,), max_retries=5, retry_backoff=2)
def mirror_sync(customer: str, heard_at: str) -> None:
    """Of news that came together, the first looks for all."""
    from apps.billing import mirroring  # dj-stripe is installed in the workers of this queue, not in all

    if not mirroring.mirrored_since(customer, datetime.fromisoformat(heard_at)):
        mirroring.mirror_sync(gateway(), customer=customer, now=timezone.now())
    _invoices_say(customer)


@shared_task(name="billing.renewals_say")
def renewals_say() -> None:
    notices.renewals_say(now=timezone.now())


@shared_task(name="billing.trials_say")
def trials_say() -> None:
    notices.trials_say(now=timezone.now())


@shared_task(name="billing.mirror_sweep")
def mirror_sweep() -> None:
    """For news that never came."""
    from apps.billing import mirroring

    if not settings.STRIPE_SECRET_KEY:
        return
    for customer in mirroring.mirrors_unseen(now=timezone.now()):
        mirroring.mirror_sync(gateway(), customer=customer, now=timezone.now())
        _invoices_say(customer)


def _invoices_say(customer: str) -> None:
    account = Account.objects.filter(customer=customer).first()
    if account is not None:
        notices.invoices_say(tenant_id=account.tenant_id, now=timezone.now())


@shared_task(name="billing.spend_alerts")
def spend_alerts() -> None:
    spending.alerts_evaluate(now=timezone.now())


@shared_task(name="billing.giving_carry", autoretry_for=(StripeUnknown,), max_retries=5, retry_backoff=2)
def giving_carry(giving_id: int) -> None:
    giving.giving_carry(gateway(), giving_id=giving_id, now=timezone.now())


@shared_task(name="billing.givings_sweep")
def givings_sweep() -> None:
    if not settings.STRIPE_SECRET_KEY:
        return
    for giving_id in giving.givings_open(now=timezone.now()):
        giving.giving_carry(gateway(), giving_id=giving_id, now=timezone.now())


@shared_task(name="billing.deletion_follow", autoretry_for=(StripeUnknown,), max_retries=5, retry_backoff=2)
def deletion_follow(tenant_id: int) -> None:
    if settings.STRIPE_SECRET_KEY:
        erasing.deletion_follow(gateway(), tenant_id=tenant_id, now=timezone.now())


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
