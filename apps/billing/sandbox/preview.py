"""`create_preview`: the real thing is done, looked at, and taken back, so a preview is what follows, to the cent."""

from apps.billing.sandbox.changes import subscription_change
from apps.billing.sandbox.coupons import discounts_set
from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.cycle import cycle
from apps.billing.sandbox.errors import ApiError, invalid
from apps.billing.sandbox.ids import word
from apps.billing.sandbox.invoiceitems import invoiceitem_read
from apps.billing.sandbox.invoicing import draft_done, invoice_add, pending_take
from apps.billing.sandbox.lines import totals_set
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import invoice_lines, render
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session
from apps.billing.sandbox.subscriptions import period_of, subscription_add

OF_CHANGE = (
    "items", "proration_behavior", "proration_date", "billing_cycle_anchor", "trial_end", "cancel_at",
    "cancel_at_period_end", "metadata",
)  # fmt: skip


@route("POST", "/v1/invoices/create_preview")
def invoice_preview(request: Request) -> Obj:
    """The next invoice of a subscription, as it is or after `subscription_details`; or the first of a new one."""
    tx, params = request.tx, request.params
    params.ignore("automatic_tax", "currency", "issuer", "customer_details")
    params.choice("preview_mode", ("next",), "next")
    with tx.discarded():
        invoice = _next(tx, params)
        params.unread_refuse()
        return _shown(tx, invoice)


def _next(tx: Session, params: Params) -> Obj:
    ident = params.text("subscription")
    subscription = tx.get(ident, "subscription", param="subscription") if ident else None
    if subscription and subscription["status"] in ("canceled", "incomplete_expired", "paused"):
        raise _none()
    customer = alive(tx, subscription["customer"] if subscription else params.required("customer"), param="customer")
    params.text("customer")
    for one in params.children("invoice_items"):
        invoiceitem_read(tx, one, customer)
    details = params.child("subscription_details")
    said = {name: details.raw(name) for name in OF_CHANGE if details.has(name)}
    before = _newest(tx, customer)
    invoice: Obj | None
    if subscription is None and not said:
        invoice = _manual(tx, params, customer)
    elif subscription is None:
        subscription_add(tx, Params(said | {"payment_behavior": "allow_incomplete"}), customer)
        invoice = _newest(tx, customer)
    else:
        invoice = _of_subscription(tx, subscription, customer, said, before)
    if invoice is None or invoice == before:
        raise _none()
    return invoice


def _of_subscription(tx: Session, subscription: Obj, customer: Obj, said: Obj, before: Obj | None) -> Obj | None:
    """The invoice that a change makes at once, or else the one at the end of the period."""
    if said:
        subscription_change(tx, subscription, Params(said))
    newest = _newest(tx, customer)
    if said and newest and (before is None or newest["id"] != before["id"]):
        return newest
    tx.pretend_at = period_of(tx, subscription)[1]
    cycle(tx, subscription)
    tx.pretend_at = None
    newest = _newest(tx, customer)
    return newest if newest and (before is None or newest["id"] != before["id"]) else None


def _manual(tx: Session, params: Params, customer: Obj) -> Obj:
    now = int(tx.real_now)
    invoice = invoice_add(
        tx, customer, reason="manual", start=now, end=now, currency=customer["currency"] or "usd"
    )  # fmt: skip
    discounts_set(tx, invoice, params)
    pending_take(tx, invoice)
    if not tx.find("line_item", invoice=invoice["id"]):
        raise _none()
    draft_done(tx, invoice, finalize_at=None)
    totals_set(tx, invoice)
    return invoice


def _newest(tx: Session, customer: Obj) -> Obj | None:
    found = tx.find("invoice", newest_first=True, customer=customer["id"])
    return found[0] if found else None


def _shown(tx: Session, invoice: Obj) -> Obj:
    """As a draft, whatever became of it."""
    ident = f"upcoming_in_{word(24)}"
    shown = render(tx, invoice) | {
        "id": ident,
        "status": "draft",
        "amount_paid": 0,
        "amount_remaining": invoice["amount_due"],
        "attempt_count": 0,
        "attempted": False,
        "effective_at": None,
        "ending_balance": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "next_payment_attempt": None,
        "number": None,
        "status_transitions": dict.fromkeys(invoice["status_transitions"]),
        "_shown": True,
    }
    lines = invoice_lines(tx, invoice["id"])
    shown["lines"] = lines | {"url": f"/v1/invoices/{ident}/lines"}
    return shown


def _none() -> ApiError:
    error = invalid("No upcoming invoices for customer", code="invoice_upcoming_none")
    error.status = 404
    return error
