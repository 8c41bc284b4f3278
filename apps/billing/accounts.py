"""Tenants as Stripe's customers. What Stripe says of a subscription decides the plan, however we hear of a change: news
only say where to look, so any order and any repetition of them ends the same. Stripe is asked outside of transactions.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, Q

from apps.billing.gateways.catalogue import Priced
from apps.billing.gateways.stripe import StripeGateway
from apps.billing.gateways.subscriptions import Subscribed
from apps.billing.models import PAYING, Account
from apps.billing.notices import plan_changed_say
from apps.billing.rating import overage_micro_cents
from apps.core.errors import Conflict
from apps.plans.selectors import DEFAULT_PLAN, PlanInfo, plan_for, plan_of, plan_since, terms_of
from apps.plans.services import plan_set
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.selectors import tenant_get

UNSEEN = timedelta(hours=1)  # then Stripe is asked even without news
RENEWING = timedelta(minutes=10)  # that Stripe may take to begin a period whose time has come

log = structlog.get_logger(__name__)


def account_ensure(gateway: StripeGateway, *, tenant_id: int, email: str) -> Account:
    """Raises NotFound, and what the gateway raises."""
    held = Account.objects.filter(tenant_id=tenant_id).first()
    if held is not None:
        return held
    customer = gateway.customer_create(tenant_id=tenant_id, name=tenant_get(tenant_id).name, email=email)
    with transaction.atomic():
        account, is_new = Account.objects.get_or_create(tenant_id=tenant_id, defaults={"customer": customer})
        if is_new:
            target = Target(customer, customer)
            audit_write(tenant_id=tenant_id, action="billing.account_opened", target=target, after={"email": email})
    return account


def contact_set(gateway: StripeGateway, *, tenant_id: int, customer: str, email: str) -> None:
    """Whom Stripe writes to. Raises what the gateway raises."""
    gateway.customer_contact(customer, email=email)
    with transaction.atomic():
        audit_write(
            tenant_id=tenant_id, action="billing.contact_changed", target=Target(customer, customer),
            after={"email": email},
        )  # fmt: skip


def checkout_begin(
    gateway: StripeGateway, *, tenant_id: int, code: str, email: str, success_url: str, cancel_url: str
) -> str:
    """Where the plan can be bought. Raises NotFound, Conflict, and what the gateway raises."""
    plan = plan_for(tenant_id, code)
    if not plan.price_cents or plan.price_is_from:
        raise Conflict(f"The {plan.name} plan is not bought here.")
    account = account_ensure(gateway, tenant_id=tenant_id, email=email)
    if account.subscription and account.status in PAYING:
        raise Conflict("There is a subscription already; change its plan instead.")
    prices = gateway.prices_ensure(priced(plan))
    return gateway.checkout_url(
        customer=account.customer, prices=prices, success_url=success_url, cancel_url=cancel_url
    )


def account_sync(gateway: StripeGateway, *, customer: str, now: datetime) -> Account | None:
    """Asks Stripe and does as it says; None for a customer who is not ours. `now` is taken before asking: of two who
    ask at once, the answer to the later question stays, whoever is done first. Raises what the gateway raises.
    """
    if not Account.objects.filter(customer=customer).exists():
        log.warning("stripe_customer_unknown", customer=customer)
        return None
    seen = _not_unpaid(gateway, gateway.subscriptions.of(customer), customer)
    with transaction.atomic():
        account = Account.objects.select_for_update().get(customer=customer)
        if account.seen_at is None or account.seen_at <= now:
            _apply(account, seen, now)
    return account


def _not_unpaid(gateway: StripeGateway, seen: list[Subscribed], customer: str) -> list[Subscribed]:
    """What is not paid after the last try ends, also where Stripe is set to keep it: there would be no saying which
    hours of it count.
    """
    unpaid = [one.id for one in seen if one.status == "unpaid"]
    for ident in unpaid:
        gateway.subscriptions.cancel(ident)
    return gateway.subscriptions.of(customer) if unpaid else seen


def _apply(account: Account, seen: Sequence[Subscribed], now: datetime) -> None:
    """Subscriptions that began and ended unheard of leave their terms too: each counts from when Stripe says."""
    was_paying, before, was_since = account.status in PAYING, plan_of(account.tenant_id), plan_since(account.tenant_id)
    was = _said(account)
    living = [one for one in seen if one.ended_at is None]
    current = living[-1] if living else None
    account.subscription = current.id if current else ""
    account.status = current.status if current else ""
    account.ends_at = current.ends_at if current else None
    account.renews_at = current.renews_at if current else None
    account.next_plan_code = current.next_plan_code if current else ""
    account.seen_at = now
    for one in seen:
        for code, begun_at in one.before:
            _begun_apply(account.tenant_id, one.id, code, begun_at)
        if one.ended_at is not None:
            _ended_apply(account.tenant_id, one, one.ended_at)
    if current is not None and current.status in PAYING:
        plan_set(tenant_id=account.tenant_id, code=current.plan_code, since=current.since, sold_under=current.id)
    elif was_paying and plan_of(account.tenant_id).code != DEFAULT_PLAN:
        plan_set(tenant_id=account.tenant_id, code=DEFAULT_PLAN)
    since = plan_since(account.tenant_id)
    if since is not None and since != was_since:
        account.settle_at = None  # a period has ended
        plan_changed_say(tenant_id=account.tenant_id, before=before, since=since)
    account.save()
    audit_write(
        tenant_id=account.tenant_id,
        action="billing.subscription_changed",
        target=Target(account.customer, account.customer),
        before=was,
        after=_said(account),
    )


def _said(account: Account) -> dict[str, object]:
    """What the audit log says; a renewal changes nothing of it."""
    names = ("subscription", "status", "ends_at", "next_plan_code")
    return {name: getattr(account, name) for name in names}


def _ended_apply(tenant_id: int, one: Subscribed, ended_at: datetime) -> None:
    _begun_apply(tenant_id, one.id, one.plan_code, one.since)
    if terms_of(tenant_id)[-1].sold_under == one.id:
        plan_set(tenant_id=tenant_id, code=DEFAULT_PLAN, since=ended_at)


def _begun_apply(tenant_id: int, subscription: str, code: str, begun_at: datetime) -> None:
    """A plan of that subscription's that nobody may have heard of. What came after it and is known stays."""
    terms, since = terms_of(tenant_id), plan_since(tenant_id)
    is_last = terms[-1].sold_under == subscription
    is_unheard = subscription not in {term.sold_under for term in terms}
    if (is_last or is_unheard) and (since is None or begun_at > since):
        plan_set(tenant_id=tenant_id, code=code, since=begun_at, sold_under=subscription)


def accounts_unseen(*, now: datetime, at_most: int = 100) -> list[str]:
    """Customers of whom nothing was heard for a while or since their period ended, longest first.

    The second is in time for a renewal's draft, which Stripe makes final after an hour, whatever becomes of its news.
    """
    silent = Q(seen_at__isnull=True) | Q(seen_at__lte=now - UNSEEN)
    renewed = Q(renews_at__lte=now, seen_at__lt=F("renews_at") + RENEWING)
    stale = Account.objects.filter(silent | renewed).order_by("seen_at")
    return list(stale.values_list("customer", flat=True)[:at_most])


def priced(plan: PlanInfo) -> Priced:
    """A plan as Stripe sells it."""
    micro_cents = None if plan.overage_cents is None else overage_micro_cents(plan.overage_cents)
    return Priced(plan.code, plan.name, plan.price_cents, micro_cents)
