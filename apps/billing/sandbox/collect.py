"""Collecting what an invoice asks for: attempts, retries, and what becomes of its subscription.

After a failed attempt the next follows on a schedule of clock time (SANDBOX_RETRY_DAYS); after the last the
subscription is what SANDBOX_AFTER_RETRIES says. The first invoice of a subscription is not retried: it has 23 hours.
"""

from apps.billing.sandbox.clock import now_of, timer_at
from apps.billing.sandbox.errors import ApiError, invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.invoicing import finalize
from apps.billing.sandbox.methods import default_set
from apps.billing.sandbox.payments import ACTION, SUCCEEDED, charge_try, intent_cancel, intent_of, payment_of
from apps.billing.sandbox.periods import DAY_S
from apps.billing.sandbox.store import Obj, Session

NO_METHOD = "no payment method"
FIRST = "subscription_create"


def finalize_and_collect(tx: Session, invoice: Obj) -> str:
    """What became of it: SUCCEEDED, FAILED, ACTION, NO_METHOD, or "open" where nobody is charged by itself."""
    finalize(tx, invoice)
    if invoice["amount_due"] == 0:
        paid(tx, invoice, cents=0)
        return SUCCEEDED
    if invoice["collection_method"] == "send_invoice" or not invoice["auto_advance"]:
        return "open"
    return attempt(tx, invoice, automatic=True)


def attempt(
    tx: Session, invoice: Obj, *, method: Obj | None = None, automatic: bool = False, authenticated: bool = False
) -> str:
    """Charges the method, or else the invoice's, the subscription's, the customer's. An outcome as above."""
    intent = intent_of(tx, invoice)
    assert intent is not None
    method = method or method_for(tx, invoice)
    outcome = charge_try(tx, intent, method, authenticated=authenticated) if method else NO_METHOD
    invoice["attempted"] = True
    if automatic or invoice["attempt_count"] == 0:
        invoice["attempt_count"] += 1
    if outcome == SUCCEEDED:
        paid(tx, invoice, cents=invoice["amount_due"])
    else:
        failed(tx, invoice, outcome, automatic=automatic)
    return outcome


def method_for(tx: Session, invoice: Obj) -> Obj | None:
    subscription = tx.maybe(invoice["_subscription"], "subscription")
    customer = tx.get(invoice["customer"], "customer")
    settings = customer.get("invoice_settings") or {}
    for ident in (
        invoice["default_payment_method"],
        subscription["default_payment_method"] if subscription else None,
        settings.get("default_payment_method"),
    ):
        method = tx.maybe(ident, "payment_method")
        if method and method["customer"] == customer["id"]:
            return method
    return None


def paid(tx: Session, invoice: Obj, *, cents: int, out_of_band: bool = False) -> None:
    now = now_of(tx, invoice)
    invoice |= {
        "status": "paid",
        "amount_paid": 0 if out_of_band else cents,
        "amount_paid_off_stripe": cents if out_of_band else 0,
        "amount_remaining": 0,
        "attempted": True,
        "next_payment_attempt": None,
        "status_transitions": invoice["status_transitions"] | {"paid_at": now},
    }
    timer_at(tx, invoice, "collect", None)
    tx.save(invoice)
    payment = payment_of(tx, invoice)
    if payment and not out_of_band:
        payment |= {"status": "paid", "amount_paid": cents, "status_transitions": {"canceled_at": None, "paid_at": now}}
        tx.save(payment)
        emit(tx, "invoice_payment.paid", payment)
    emit(tx, "invoice.paid", invoice)
    emit(tx, "invoice.payment_succeeded", invoice)
    _settled(tx, invoice)


def failed(tx: Session, invoice: Obj, outcome: str, *, automatic: bool) -> None:
    subscription = tx.maybe(invoice["_subscription"], "subscription")
    first = invoice["billing_reason"] == FIRST
    exhausted = False
    if automatic:
        schedule = tx.settings.retry_days
        used = invoice["attempt_count"] - 1
        at = None if first or used >= len(schedule) else now_of(tx, invoice) + schedule[used] * DAY_S
        exhausted = at is None and not first
        invoice["next_payment_attempt"] = at
        timer_at(tx, invoice, "collect", at)
    tx.save(invoice)
    if outcome == ACTION:
        emit(tx, "invoice.payment_action_required", invoice)
    emit(tx, "invoice.payment_failed", invoice)
    customer = tx.get(invoice["customer"], "customer")
    if not customer.get("deleted"):
        with updating(tx, customer, "customer.updated"):
            customer["delinquent"] = True
    if subscription and not first:
        _overdue(tx, subscription, exhausted=exhausted)


def void(tx: Session, invoice: Obj) -> None:
    """Raises ApiError unless it is open or uncollectible."""
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid("You can only void open or uncollectible invoices.", code="invoice_not_editable")
    _close(tx, invoice, "void", "voided_at", "invoice.voided")
    intent = intent_of(tx, invoice)
    if intent and intent["status"] != "canceled":
        intent_cancel(tx, intent, "void_invoice")
    _settled(tx, invoice)


def uncollectible(tx: Session, invoice: Obj) -> None:
    if invoice["status"] != "open":
        raise invalid("Only open invoices can be marked uncollectible.", code="invoice_not_editable")
    _close(tx, invoice, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")
    _settled(tx, invoice)


def collecting_stop(tx: Session, invoice: Obj) -> None:
    """No more attempts by themselves; someone may still pay it."""
    with updating(tx, invoice, "invoice.updated"):
        invoice["auto_advance"] = False
        invoice["next_payment_attempt"] = None
    timer_at(tx, invoice, "collect", None)


def open_error(tx: Session, invoice: Obj, outcome: str) -> ApiError | None:
    """How a caller who asked for the money now is told that it did not come."""
    if outcome == SUCCEEDED:
        return None
    if outcome == NO_METHOD:
        return invalid(
            "There is no `default_payment_method` set on this Customer or Invoice. Please use a different payment "
            "method.", code="resource_missing",
        )  # fmt: skip
    intent = intent_of(tx, invoice)
    if outcome == ACTION or intent is None or not intent["last_payment_error"]:
        return ApiError(
            "This payment requires additional user action before it can be completed successfully.",
            status=402, kind="card_error", code="invoice_payment_intent_requires_action", keep=True,
        )  # fmt: skip
    error = dict(intent["last_payment_error"])
    message = error.pop("message")
    kind = error.pop("type")
    return ApiError(message, status=402, kind=kind, keep=True, **error)


def method_remember(tx: Session, subscription: Obj, method: Obj) -> None:
    """The card that a subscription was bought with pays for it from then on."""
    customer = tx.get(subscription["customer"], "customer")
    if not customer["invoice_settings"]["default_payment_method"]:
        default_set(tx, customer, method)


def _close(tx: Session, invoice: Obj, status: str, stamp: str, kind: str) -> None:
    invoice |= {
        "status": status,
        "next_payment_attempt": None,
        "status_transitions": invoice["status_transitions"] | {stamp: now_of(tx, invoice)},
    }
    timer_at(tx, invoice, "collect", None)
    tx.save(invoice)
    emit(tx, kind, invoice)


def _settled(tx: Session, invoice: Obj) -> None:
    """What no longer being owed anything does to the customer and, for its latest invoice, to the subscription."""
    customer = tx.get(invoice["customer"], "customer")
    owing = [one for one in tx.find("invoice", customer=customer["id"], status="open") if one["attempted"]]
    if not owing and customer.get("delinquent"):
        with updating(tx, customer, "customer.updated"):
            customer["delinquent"] = False
    subscription = tx.maybe(invoice["_subscription"], "subscription")
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    status = subscription["status"]
    if status == "incomplete" and invoice["status"] != "paid":
        _first_given_up(tx, subscription)
    elif status in ("incomplete", "past_due", "unpaid"):
        trial = subscription["trial_end"] and subscription["trial_end"] > now_of(tx, subscription)
        with updating(tx, subscription, "customer.subscription.updated"):
            subscription["status"] = "trialing" if trial else "active"
        timer_at(tx, subscription, "expire", None)


def _first_given_up(tx: Session, subscription: Obj) -> None:
    with updating(tx, subscription, "customer.subscription.updated"):
        subscription |= {"status": "incomplete_expired", "ended_at": now_of(tx, subscription)}
    timer_at(tx, subscription, "expire", None)
    timer_at(tx, subscription, "cycle", None)


def _overdue(tx: Session, subscription: Obj, *, exhausted: bool) -> None:
    status = subscription["status"]
    if status in ("canceled", "incomplete_expired"):
        return
    if exhausted and tx.settings.after_retries == "canceled":
        from apps.billing.sandbox.canceling import subscription_end  # it stands on collecting

        subscription_end(tx, subscription, reason="payment_failed")
        return
    wanted = tx.settings.after_retries if exhausted else "past_due"
    if status != "unpaid" or exhausted:
        with updating(tx, subscription, "customer.subscription.updated"):
            subscription["status"] = wanted
