"""From one plan to another: at once where it costs more, with the period's end where it costs less.

A change that begins at once ends the billing period at its hour. What that leaves, the unused hours of the fee and the
checks beyond the included ones so far, is charged together with the new fee; if the charge fails nothing has changed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from apps.billing.accounts import account_sync, priced
from apps.billing.gateways.charges import Extra, ExtraLine
from apps.billing.gateways.stripe import StripeGateway
from apps.billing.losses import Losses, losses_of
from apps.billing.models import PAYING, Account
from apps.billing.periods import period_of
from apps.billing.rating import BilledPeriod, LineKind, bill
from apps.billing.selectors import usage_of
from apps.core.errors import Conflict
from apps.core.scope import tenant_scope
from apps.plans.periods import hour_of
from apps.plans.selectors import DEFAULT_PLAN, PlanInfo, contract_ends_at, plan_for, plan_of, terms_of

CLAIM = timedelta(minutes=1)  # how long one who asks Stripe for a change keeps others from doing so


class When(StrEnum):
    NOW = "now"
    RENEWAL = "renewal"


@dataclass(frozen=True, slots=True)
class Offer:
    """`begins_at` is when the plan begins, None for now. `lines` and `due_cents` are what is charged now."""

    current: PlanInfo
    plan: PlanInfo
    when: When
    begins_at: datetime | None
    lines: tuple[ExtraLine, ...]
    losses: Losses

    @property
    def due_cents(self) -> int:
        return 0 if self.when is When.RENEWAL else self.plan.price_cents + sum(line.cents for line in self.lines)


def change_offer(*, tenant_id: int, code: str, now: datetime) -> Offer:
    """What the change would mean; nothing is done. Raises NotFound, Conflict."""
    current, plan = plan_of(tenant_id), plan_for(tenant_id, code)
    account = _paying(tenant_id)
    if plan.code == current.code:
        raise Conflict(f"You are on the {plan.name} plan already.")
    if plan.price_is_from:
        raise Conflict(f"The {plan.name} plan is not bought here.")
    if account.next_plan_code or account.ends_at:
        raise Conflict("Another plan begins when this period ends. Take that back first.")
    losses = losses_of(tenant_id=tenant_id, current=current, plan=plan)
    if plan.price_cents < current.price_cents:
        _term_require_over(tenant_id, account)
        return Offer(current, plan, When.RENEWAL, account.renews_at, (), losses)
    return Offer(current, plan, When.NOW, None, _lines(tenant_id, now), losses)


def plan_change(gateway: StripeGateway, *, tenant_id: int, code: str, now: datetime) -> Offer:
    """Does what `change_offer` says. Raises NotFound, Conflict, and what the gateway raises."""
    offer = change_offer(tenant_id=tenant_id, code=code, now=now)
    account = _claimed(tenant_id, now)
    try:
        if offer.plan.code == DEFAULT_PLAN:
            gateway.subscriptions.end_at_renewal(account.subscription)
        else:
            prices = gateway.prices_ensure(priced(offer.plan))
            if offer.when is When.NOW:
                gateway.subscriptions.upgrade(account.subscription, code=code, prices=prices, lines=offer.lines)
            else:
                gateway.subscriptions.change_at_renewal(account.subscription, code=code, prices=prices)
        account_sync(gateway, customer=account.customer, now=timezone.now())  # after the change, not before
    finally:
        _release(tenant_id)
    return offer


def plan_keep(gateway: StripeGateway, *, tenant_id: int, now: datetime) -> None:
    """Takes back a change or an end that was to come. Raises Conflict, and what the gateway raises."""
    account = _claimed(tenant_id, now)
    try:
        gateway.subscriptions.keep(account.subscription)
        account_sync(gateway, customer=account.customer, now=timezone.now())  # after the change, not before
    finally:
        _release(tenant_id)


def _lines(tenant_id: int, now: datetime) -> tuple[ExtraLine, ...]:
    """Of the current period as if it ended at this hour, as far as its usage is known."""
    whole = period_of(terms_of(tenant_id), now)
    cut = BilledPeriod(whole.starts_at, hour_of(now), whole.full_ends_at, whole.terms)
    with tenant_scope(tenant_id):
        owed = bill(cut, usage_of(cut))
    kinds = {LineKind.UNUSED: Extra.UNUSED, LineKind.OVERAGE: Extra.OVERAGE}
    return tuple(
        ExtraLine(kinds[line.kind], line.amount_cents, whole.starts_at, cut.ends_at)
        for line in owed.lines
        if line.kind in kinds
    )


def _term_require_over(tenant_id: int, account: Account) -> None:
    """Raises Conflict while a contract lasts beyond the period."""
    until = contract_ends_at(tenant_id)
    if until is not None and (account.renews_at is None or hour_of(account.renews_at) < until):
        raise Conflict(f"The {plan_of(tenant_id).name} plan is a contract until {until:%-d %B %Y}.")


def _paying(tenant_id: int) -> Account:
    """Raises Conflict."""
    account = Account.objects.filter(tenant_id=tenant_id, status__in=PAYING).exclude(subscription="").first()
    if account is None:
        raise Conflict("There is no subscription that could be changed.")
    if account.status == "past_due":
        raise Conflict("The last payment failed. Once it is paid, the plan can be changed.")
    return account


def _claimed(tenant_id: int, now: datetime) -> Account:
    """So that of two clicks one changes something. Raises Conflict."""
    account = _paying(tenant_id)
    free = Q(changing_until__isnull=True) | Q(changing_until__lte=now)
    if not Account.objects.filter(free, tenant_id=tenant_id).update(changing_until=now + CLAIM):
        raise Conflict("A change of the plan is under way. Look again in a minute.")
    return account


def _release(tenant_id: int) -> None:
    Account.objects.filter(tenant_id=tenant_id).update(changing_until=None)
