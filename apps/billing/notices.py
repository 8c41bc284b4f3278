"""What members hear of money: a plan that changed, an invoice that was paid or could not be, a renewal that comes.

Each is said once, however often it is looked at.
"""

from datetime import datetime, timedelta

from apps.billing.happenings import Happened, happened
from apps.billing.invoices import InvoiceInfo, invoices_of
from apps.billing.losses import losses_of
from apps.billing.models import PAYING, Account, Dunning, Giving
from apps.billing.money import in_dollars
from apps.core.scope import tenant_scope
from apps.notifications.kinds import CREDIT, PAYMENT_FAILED, PLAN_CHANGED, RECEIPT, RENEWAL, TRIAL_ENDING
from apps.notifications.services import notify
from apps.plans.selectors import DEFAULT_PLAN, PlanInfo, plan_get, plan_of, trials_until

RECENT = timedelta(days=7)  # what is older than that when we first see it is no news
AHEAD = timedelta(days=3)


def plan_changed_say(*, tenant_id: int, before: PlanInfo, since: datetime) -> None:
    """In the transaction that changed it."""
    plan = plan_of(tenant_id)
    key = f"{plan.code}:{since:%Y-%m-%dT%H:%M:%S}"
    happened(tenant_id, Happened.PLAN_CHANGED, key, at=since, facts={"before": before.code, "plan": plan.code})
    notify(
        tenant_id=tenant_id, kind=PLAN_CHANGED, dedupe_key=key,
        context={"before": before.name, "plan": plan.name, "starts_on": _day(since)},
    )  # fmt: skip


def invoices_say(*, tenant_id: int, now: datetime) -> int:
    """Of the tenant's invoices as they are now. Returns how many notices were new."""
    with tenant_scope(tenant_id):
        recent = [one for one in reversed(invoices_of(tenant_id, at_most=12)) if one.made_at > now - RECENT]
    for one in recent:
        _happened(tenant_id, Happened.INVOICE_OPENED, one, one.made_at)
    said = 0
    for one in recent:
        if one.status == "paid" and one.total_cents > 0:
            _happened(tenant_id, Happened.INVOICE_PAID, one, now)
            said += one.paid_cents > 0 and _receipt_say(tenant_id, one)
    owed = Dunning.objects.filter(tenant_id=tenant_id).first()
    return said + (_failure_say(tenant_id, owed) if owed else 0)


def renewals_say(*, now: datetime) -> int:
    """Of every plan that renews within AHEAD. Returns how many notices were new."""
    soon = Account.objects.filter(
        status__in=PAYING, ends_at__isnull=True, renews_at__gt=now, renews_at__lte=now + AHEAD
    ).order_by("tenant_id")
    return sum(_renewal_say(account) for account in soon)


def trials_say(*, now: datetime) -> int:
    """Of every trial that ends within AHEAD. Returns how many notices were new."""
    return sum(_trial_say(tenant_id, ends_at) for tenant_id, ends_at in trials_until(now + AHEAD) if ends_at > now)


def giving_say(giving: Giving, *, number: str) -> None:
    """In the transaction that says it is done; `number` is that of a refund's invoice."""
    context = {"amount": in_dollars(giving.cents), "reason": giving.reason, "invoice": number}
    notify(tenant_id=giving.tenant_id, kind=CREDIT, dedupe_key=str(giving.reference), context=context)


def _happened(tenant_id: int, kind: Happened, invoice: InvoiceInfo, at: datetime) -> None:
    facts = {"invoice": invoice.id, "number": invoice.number, "total_cents": invoice.total_cents}
    happened(tenant_id, kind, invoice.id, at=at, facts=facts)


def _receipt_say(tenant_id: int, invoice: InvoiceInfo) -> bool:
    period = _day(invoice.made_at)
    if invoice.period_starts_at and invoice.period_ends_at:
        period = f"{_day(invoice.period_starts_at)} to {_day(invoice.period_ends_at)}"
    context = {"amount": in_dollars(invoice.paid_cents), "number": invoice.number, "period": period}
    return notify(tenant_id=tenant_id, kind=RECEIPT, dedupe_key=invoice.id, context=context) is not None


def _failure_say(tenant_id: int, owed: Dunning) -> bool:
    """Once per try."""
    if owed.retried_at is None:
        retry_on, after = "", "It is not tried again by itself. Pay it, or the plan changes to Free."
    else:
        retry_on, after = _day(owed.retried_at), "After the last try the plan changes to Free."
    context = {
        "amount": in_dollars(owed.cents), "reason": "The card was declined.", "retry_on": retry_on, "after": after,
    }  # fmt: skip
    tries = f"{owed.retried_at:%Y-%m-%dT%H:%M}" if owed.retried_at else "last"
    happened(
        tenant_id, Happened.INVOICE_FAILED, f"{owed.invoice}:{tries}", at=owed.since_at,
        facts={"invoice": owed.invoice, "number": owed.number, "owed_cents": owed.cents},
    )  # fmt: skip
    notice = notify(
        tenant_id=tenant_id, kind=PAYMENT_FAILED, dedupe_key=f"{owed.invoice}:{tries}", context=context
    )  # fmt: skip
    return notice is not None


def _renewal_say(account: Account) -> bool:
    assert account.renews_at is not None
    plan = plan_get(account.next_plan_code) if account.next_plan_code else plan_of(account.tenant_id)
    context = {"plan": plan.name, "amount": in_dollars(plan.price_cents), "renews_on": _day(account.renews_at)}
    key = f"{account.renews_at:%Y-%m-%dT%H}:{plan.code}"
    return notify(tenant_id=account.tenant_id, kind=RENEWAL, dedupe_key=key, context=context) is not None


def _trial_say(tenant_id: int, ends_at: datetime) -> bool:
    plan, then = plan_of(tenant_id), plan_get(DEFAULT_PLAN)
    losses = losses_of(tenant_id=tenant_id, current=plan, plan=then)
    context = {
        "plan": plan.name, "ends_on": _day(ends_at), "then": then.name, "rules": list(losses.rules),
        "retention_days": losses.retention_days[1] if losses.retention_days else 0, "webhooks": losses.webhooks,
    }  # fmt: skip
    key = f"{ends_at:%Y-%m-%dT%H}"
    return notify(tenant_id=tenant_id, kind=TRIAL_ENDING, dedupe_key=key, context=context) is not None


def _day(moment: datetime) -> str:
    return f"{moment:%-d %B %Y}"
