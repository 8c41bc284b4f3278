"""The end of a tenant, as money sees it.

Asked for: the subscription does not renew. Taken back: it does again. Purged: what Stripe said of invoices is written
down as numbers, the customer is deleted at Stripe, which ends what was left of the subscription and keeps its invoices
as the law asks, and our copy of what Stripe knows goes.
"""

from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from apps.billing.accounts import account_sync, priced
from apps.billing.gateways import stripe as gateways
from apps.billing.gateways.stripe import StripeGateway
from apps.billing.models import PAYING, Account, Giving, Invoice, KeptInvoice
from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.plans.selectors import plan_for
from apps.tenants.privacy.holdings import (
    Elsewhere,
    Holding,
    Retention,
    Shown,
    When,
    elsewhere_declare,
    holdings_declare,
    retentions_declare,
    shown_declare,
)
from apps.tenants.selectors import deletion_open

log = structlog.get_logger(__name__)

_OURS = ("changing_until", "seen_at", "settle_at", "ended_by_deletion", "plan_after_deletion")
_LAW = "tax law asks for it; numbers, times and ids, nothing that names anybody"


def holdings_register() -> None:
    holdings_declare(
        Holding(table="public.billing_account", hidden=_OURS),
        Holding(table="public.billing_dunning"),
        Holding(table="public.billing_giving", kept=_LAW, hidden=("given_by",)),
        Holding(table="public.billing_happening", not_exported="what was told to others of bills, which are here"),
        Holding(table="public.billing_keptinvoice", kept=_LAW, not_exported="made when the tenant goes"),
        Holding(table="public.billing_settlement", kept=_LAW),
        Holding(table="public.billing_spendalert"),
        Holding(table="billing.overage", kept=_LAW, not_exported="what Stripe was told of usage, which is here"),
        Holding(table="billing.usage", kept=_LAW),
    )
    shown_declare(
        *(
            Shown(name, f"SELECT * FROM public.billing_{name} WHERE tenant_id = public.app_tenant()")  # noqa: S608
            for name in ("invoice", "card", "contact")
        )
    )
    retentions_declare(
        Retention(
            "Money", "Usage by the hour, settled periods, credits", until="as tax law asks, also after a deletion"
        ),
        Retention(
            "Money", "Invoices: at Stripe; with us their numbers", until="as tax law asks, also after a deletion"
        ),
        Retention("Money", "Cards and addresses for invoices", until="at Stripe, as long as the organisation exists"),
    )
    elsewhere_declare(
        Elsewhere("the customer at Stripe, and our copy", When.BEFORE, customer_erase),
        Elsewhere("reasons of credits and refunds", When.WITHIN, reasons_erase),
    )


def deletion_follow(gateway: StripeGateway, *, tenant_id: int, now: datetime) -> bool:
    """Brings the subscription to where it should be; whether anything was to be done. May be repeated. Raises what the
    gateway raises.
    """
    account = Account.objects.filter(tenant_id=tenant_id, status__in=PAYING).exclude(subscription="").first()
    if account is None:
        return False
    wanted = deletion_open(tenant_id) is not None
    row = Account.objects.filter(tenant_id=tenant_id)
    if wanted and account.ends_at is None:
        # Before Stripe is asked: its news of the end may be written down first, and this is needed to take it back.
        row.update(ended_by_deletion=True, plan_after_deletion=account.next_plan_code or account.plan_after_deletion)
        gateway.subscriptions.end_at_renewal(account.subscription)
    elif not wanted and account.ended_by_deletion:
        gateway.subscriptions.keep(account.subscription)
        _change_again(gateway, account)
        row.update(ended_by_deletion=False, plan_after_deletion="")
    else:
        return False
    account_sync(gateway, customer=account.customer, now=now)
    return True


def _change_again(gateway: StripeGateway, account: Account) -> None:
    """To the plan that was to begin with the renewal, where it is still to be had."""
    if not account.plan_after_deletion:
        return
    try:
        plan = plan_for(account.tenant_id, account.plan_after_deletion)
    except NotFound:
        log.warning("plan_after_deletion_gone", tenant=account.tenant_id, plan=account.plan_after_deletion)
        return
    prices = gateway.prices_ensure(priced(plan))
    gateway.subscriptions.change_at_renewal(account.subscription, code=plan.code, prices=prices)


def customer_erase(tenant_id: int) -> None:
    """Raises what the gateway raises."""
    from apps.billing.mirroring import mirror_forget, mirror_sync  # dj-stripe is not installed in every process

    account = Account.objects.filter(tenant_id=tenant_id).first()
    if account is None:
        return
    gateway = gateways.gateway()
    mirror_sync(gateway, customer=account.customer, now=timezone.now())
    invoices_keep(tenant_id=tenant_id)
    gateway.customer_delete(account.customer)
    mirror_forget(customer=account.customer)


def invoices_keep(*, tenant_id: int) -> int:
    """Their numbers, as the law asks; the documents are at Stripe."""
    with tenant_scope(tenant_id):
        found = [
            KeptInvoice(
                id=held.id, tenant_id=tenant_id, number=held.number, status=held.status, made_at=held.made_at,
                period_starts_at=held.period_starts_at, period_ends_at=held.period_ends_at,
                total_cents=held.total_cents, paid_cents=held.paid_cents, credited_cents=held.credited_cents,
            )
            for held in Invoice.objects.filter(tenant_id=tenant_id)
        ]  # fmt: skip
    KeptInvoice.objects.bulk_create(found, ignore_conflicts=True)
    return len(found)


@transaction.atomic
def reasons_erase(tenant_id: int) -> None:
    """Staff wrote them, perhaps with somebody's name in them."""
    Giving.objects.filter(tenant_id=tenant_id).update(reason="of an organisation that is deleted", refused="")
