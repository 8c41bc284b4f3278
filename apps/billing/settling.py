"""Periods that are over: what Stripe charged for one becomes what its bill says, and no hour of it changes any more.

Stripe bills most of it by itself: fees, and overage as it was told by the hour. What it cannot know is corrected once:
the last hours before a plan was changed, unused hours, overage that it refused because it was too old.
"""

from datetime import datetime, timedelta

import structlog
from django.db.models import Q

from apps.analytics.ingest.database import Connection
from apps.billing.gateways.charges import Charged, Extra, ExtraLine
from apps.billing.gateways.stripe import StripeGateway
from apps.billing.ledger import GRACE
from apps.billing.models import PAYING, Account, Posted, Settlement
from apps.billing.periods import periods_until
from apps.billing.rating import BilledPeriod, bill
from apps.billing.selectors import is_final, usage_of
from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.plans.selectors import TermInfo, terms_of

DRAFTS_WAIT = GRACE + timedelta(hours=1)  # after its period's end an invoice becomes final
SETTLED_AFTER = DRAFTS_WAIT + timedelta(hours=1)

log = structlog.get_logger(__name__)


def periods_settle(connection: Connection, gateway: StripeGateway, *, now: datetime, at_most: int = 500) -> int:
    """Of those accounts whose turn it is. Returns how many periods it settled. Raises what the gateway raises."""
    due = Account.objects.filter(Q(settle_at__isnull=True) | Q(settle_at__lte=now)).order_by("settle_at", "tenant_id")
    return sum(_account_settle(connection, gateway, account, now) for account in due[:at_most])


def _account_settle(connection: Connection, gateway: StripeGateway, account: Account, now: datetime) -> int:
    try:
        terms = terms_of(account.tenant_id)
    except NotFound:  # the tenant is gone
        Account.objects.filter(pk=account.pk).update(settle_at=now + timedelta(days=1))
        return 0
    done, next_at = 0, now + timedelta(days=1)  # nothing sold: whatever begins there is looked at by itself
    for period in _unsettled(account.tenant_id, terms, now):
        next_at = period.ends_at + SETTLED_AFTER
        if next_at > now:
            break
        if not _period_settle(connection, gateway, account, period, now):
            next_at = now + timedelta(minutes=30)
            break
        done += 1
    Account.objects.filter(pk=account.pk, settle_at=account.settle_at).update(settle_at=next_at)
    return done


def _unsettled(tenant_id: int, terms: list[TermInfo], now: datetime) -> list[BilledPeriod]:
    """Those that were sold, oldest first; the current one, which is not over, among them."""
    settled = set(
        Settlement.objects.filter(tenant_id=tenant_id, done_at__isnull=False).values_list("period_at", flat=True)
    )
    return [
        period
        for period in periods_until(terms, now)
        if period.starts_at not in settled
        and next(term.sold_under for term in reversed(terms) if term.starts_at <= period.starts_at)
    ]


def _period_settle(
    connection: Connection, gateway: StripeGateway, account: Account, period: BilledPeriod, now: datetime
) -> bool:
    """False where it is too early."""
    held = Settlement.objects.filter(tenant_id=account.tenant_id, period_at=period.starts_at).first()
    if held is None:
        if not is_final(period, Posted.objects.get().until, now) or _is_telling(connection, account, period):
            return False
        charged = gateway.charges.of(account.customer, since=period.starts_at)
        if period.starts_at in charged.open:
            return False
        held = _settlement_make(account.tenant_id, period, charged)
    if held.correction_cents:
        gateway.charges.correct(
            account.customer,
            subscription=account.subscription if account.status in PAYING else "",
            line=ExtraLine(Extra.CORRECTION, held.correction_cents, period.starts_at, period.ends_at),
            reference=f"{held.tenant_id}-{period.starts_at:%Y%m%d%H}",
        )
        log.info("period_corrected", tenant=held.tenant_id, period=period.starts_at.isoformat(),
                 cents=held.correction_cents)  # fmt: skip
    Settlement.objects.filter(pk=held.pk).update(done_at=now)
    return True


def _settlement_make(tenant_id: int, period: BilledPeriod, charged: Charged) -> Settlement:
    """What is decided here is never computed again, so that a correction of unknown outcome is asked for as it was."""
    with tenant_scope(tenant_id):
        owed = bill(period, usage_of(period))
    return Settlement.objects.get_or_create(
        tenant_id=tenant_id,
        period_at=period.starts_at,
        defaults={
            "billed_cents": owed.total_cents,
            "charged_cents": charged.cents.get(period.starts_at, 0),
        },
    )[0]


def _is_telling(connection: Connection, account: Account, period: BilledPeriod) -> bool:
    """Whether overage of the period is still on its way to Stripe."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM billing.overage WHERE tenant_id = %s AND period_at = %s AND told_at IS NULL"
        " AND refused IS NULL)",
        [account.tenant_id, period.starts_at],
    ).fetchone()
    assert row is not None
    return bool(row[0])
