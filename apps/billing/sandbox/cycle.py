"""What time does to subscriptions, invoices and checkout sessions: each function here is one timer going off.

A timer is taken away in the transaction that does its work, so a process killed in between does it again, once.
"""

from collections.abc import Callable

from apps.billing.sandbox.canceling import ENDED, ended, subscription_end, usage_lines
from apps.billing.sandbox.clock import now_of, timer_at
from apps.billing.sandbox.collect import attempt, finalize_and_collect, method_for, void
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.invoicing import draft_done, invoice_add, pending_take
from apps.billing.sandbox.lines import line_licensed, metered
from apps.billing.sandbox.periods import period_at
from apps.billing.sandbox.phases import cancels_at, phase_begin
from apps.billing.sandbox.store import Obj, Session
from apps.billing.sandbox.subscriptions import items_of, period_of, period_set, timers_set


def cycle(tx: Session, subscription: Obj) -> None:
    """The period is over: the subscription ends, pauses, or goes into its next period with a draft invoice."""
    if subscription["status"] in (*ENDED, "incomplete", "paused"):
        return
    start, end = period_of(tx, subscription)
    customer = tx.get(subscription["customer"], "customer")
    was_trial = subscription["status"] == "trialing"
    if _ends_now(tx, subscription, end):
        if not was_trial:
            invoice = _invoice(tx, subscription, customer, start, end)
            usage_lines(tx, invoice, subscription, end)
            _done(tx, invoice)
        ended(tx, subscription, reason="cancellation_requested")
        return
    if was_trial and _trial_without_card(tx, subscription):
        return
    renew(tx, subscription, customer, was_trial=was_trial)


def _ends_now(tx: Session, subscription: Obj, end: int) -> bool:
    said = subscription["cancel_at_period_end"] or (subscription["cancel_at"] or end + 1) <= end
    return bool(said) or cancels_at(tx, subscription, end)


def renew(tx: Session, subscription: Obj, customer: Obj, *, was_trial: bool) -> Obj:
    """Fees of the period to come, usage of the one that is over, and what is pending; returns the draft."""
    start, end = period_of(tx, subscription)
    invoice = _invoice(tx, subscription, customer, start, end)
    if not was_trial:
        usage_lines(tx, invoice, subscription, end)
    phase_begin(tx, subscription, end)
    recurring = tx.get(items_of(tx, subscription)[0]["price"], "price")["recurring"]
    _, next_end = period_at(
        anchor=subscription["billing_cycle_anchor"], interval=recurring["interval"],
        count=recurring["interval_count"], at=end,
    )  # fmt: skip
    with updating(tx, subscription, "customer.subscription.updated"):
        for item in items_of(tx, subscription):
            period_set(tx, item, end, next_end)
        if was_trial:
            subscription["status"] = "active"
    for item in items_of(tx, subscription):
        if not metered(tx.get(item["price"], "price")):
            line_licensed(tx, invoice, item, start=end, end=next_end)
    timers_set(tx, subscription, next_end)
    _done(tx, invoice)
    return invoice


def cancel(tx: Session, subscription: Obj) -> None:
    if subscription["status"] not in ENDED:
        subscription_end(tx, subscription, reason="cancellation_requested", invoice_now=True)


def trial_warning(tx: Session, subscription: Obj) -> None:
    if subscription["status"] == "trialing":
        emit(tx, "customer.subscription.trial_will_end", subscription)


def expire(tx: Session, subscription: Obj) -> None:
    """The first invoice was not paid in 23 hours."""
    invoice = tx.maybe(subscription["latest_invoice"], "invoice")
    if subscription["status"] == "incomplete" and invoice and invoice["status"] == "open":
        void(tx, invoice)


def finalize_draft(tx: Session, invoice: Obj) -> None:
    if invoice["status"] == "draft":
        finalize_and_collect(tx, invoice)


def collect(tx: Session, invoice: Obj) -> None:
    if invoice["status"] == "open" and invoice["auto_advance"]:
        attempt(tx, invoice, automatic=True)


def overdue(tx: Session, invoice: Obj) -> None:
    """Nobody paid an invoice that was only sent."""
    if invoice["status"] != "open":
        return
    emit(tx, "invoice.overdue", invoice)
    subscription = tx.maybe(invoice["_subscription"], "subscription")
    if subscription and subscription["status"] == "active":
        with updating(tx, subscription, "customer.subscription.updated"):
            subscription["status"] = "past_due"


def session_expire(tx: Session, session: Obj) -> None:
    if session["status"] == "open":
        session |= {"status": "expired", "url": None}
        tx.save(session)
        emit(tx, "checkout.session.expired", session)


TIMERS: dict[str, Callable[[Session, Obj], None]] = {
    "cycle": cycle,
    "cancel": cancel,
    "trial_warning": trial_warning,
    "expire": expire,
    "finalize": finalize_draft,
    "collect": collect,
    "overdue": overdue,
    "session_expire": session_expire,
}


def _invoice(tx: Session, subscription: Obj, customer: Obj, start: int, end: int) -> Obj:
    return invoice_add(
        tx, customer, reason="subscription_cycle", start=start, end=end, subscription=subscription,
        currency=subscription["currency"], auto_advance=subscription["status"] != "unpaid",
    )  # fmt: skip


def _done(tx: Session, invoice: Obj) -> None:
    pending_take(tx, invoice)
    if not tx.find("line_item", invoice=invoice["id"]):
        tx.remove(invoice["id"])
        return
    at = now_of(tx, invoice) + tx.settings.draft_s if invoice["auto_advance"] else None
    draft_done(tx, invoice, finalize_at=at)


def _trial_without_card(tx: Session, subscription: Obj) -> bool:
    """Whether a trial's end ends or pauses the subscription, for want of a card."""
    behaviour = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    probe = {"_subscription": subscription["id"], "customer": subscription["customer"], "default_payment_method": None}
    if behaviour == "create_invoice" or method_for(tx, probe):
        return False
    if behaviour == "cancel":
        ended(tx, subscription, reason="payment_failed")
        return True
    with updating(tx, subscription, "customer.subscription.paused"):
        subscription["status"] = "paused"
    timer_at(tx, subscription, "cycle", None)
    return True
