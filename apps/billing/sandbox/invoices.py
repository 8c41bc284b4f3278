"""Invoices over the API: made by hand, changed while drafts, finalized, paid, given up."""

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.collect import attempt, finalize_and_collect, open_error, paid, uncollectible, void
from apps.billing.sandbox.coupons import discounts_set
from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.invoicing import (
    draft_done,
    draft_refresh,
    finalize,
    finalize_at_set,
    invoice_add,
    pending_take,
)
from apps.billing.sandbox.lines import totals_set
from apps.billing.sandbox.methods import method_of
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.payments import SUCCEEDED
from apps.billing.sandbox.periods import DAY_S
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

IGNORED = ("payment_settings", "rendering", "automatic_tax", "issuer", "custom_fields", "account_tax_ids")
TEXTS = ("description", "footer", "statement_descriptor")
FILTERS = ("customer", "status", "subscription", "collection_method")


@route("POST", "/v1/invoices")
def invoice_create(request: Request) -> Obj:
    """A draft; without `pending_invoice_items_behavior=include` it is empty."""
    tx, params = request.tx, request.params
    customer = alive(tx, params.required("customer"), param="customer")
    ident = params.text("subscription")
    subscription = tx.get(ident, "subscription", param="subscription") if ident else None
    now = now_of(tx, customer)
    invoice = invoice_add(
        tx, customer, reason="manual", start=now, end=now, subscription=subscription,
        currency=(params.text("currency") or customer["currency"] or "usd").lower(),
        auto_advance=params.boolean("auto_advance"),
    )  # fmt: skip
    _fill(tx, invoice, params, customer)
    if params.choice("pending_invoice_items_behavior", ("include", "exclude"), "exclude") == "include":
        pending_take(tx, invoice)
    at = params.integer("automatically_finalizes_at") if params.given("automatically_finalizes_at") else None
    latest = subscription["latest_invoice"] if subscription else None
    draft_done(tx, invoice, finalize_at=at or (now + tx.settings.draft_s if invoice["auto_advance"] else None))
    if subscription:
        subscription["latest_invoice"] = latest  # only what the subscription makes itself counts
        tx.save(subscription)
    return invoice


@route("GET", "/v1/invoices")
def invoice_list(request: Request) -> Obj:
    params = request.params
    equal = params.equal(*FILTERS)
    return listing(request.tx, params, "invoice", url="/v1/invoices", equal=equal)


@route("GET", "/v1/invoices/{id}")
def invoice_retrieve(request: Request) -> Obj:
    invoice = request.tx.get(request.args["id"], "invoice")
    draft_refresh(request.tx, invoice)
    return invoice


@route("POST", "/v1/invoices/{id}")
def invoice_update(request: Request) -> Obj:
    tx, params = request.tx, request.params
    invoice = tx.get(request.args["id"], "invoice")
    with updating(tx, invoice, "invoice.updated"):
        if params.has("auto_advance"):
            invoice["auto_advance"] = params.boolean("auto_advance")
            waits = invoice["status"] == "draft" and invoice["auto_advance"]
            finalize_at_set(tx, invoice, now_of(tx, invoice) + tx.settings.draft_s if waits else None)
        if params.has("automatically_finalizes_at"):
            _draft(invoice)
            finalize_at_set(tx, invoice, params.maybe_integer("automatically_finalizes_at"))
        _fill(tx, invoice, params, tx.get(invoice["customer"], "customer"))
        if invoice["status"] == "draft":
            totals_set(tx, invoice)
    return invoice


@route("DELETE", "/v1/invoices/{id}")
def invoice_delete(request: Request) -> Obj:
    """A draft made by hand; its invoice items are gone with it."""
    tx, invoice = request.tx, request.tx.get(request.args["id"], "invoice")
    _draft(invoice)
    if invoice["billing_reason"] != "manual":
        raise invalid("You can't delete invoices created by subscriptions.", code="invoice_not_editable")
    for item in [*tx.find("line_item", invoice=invoice["id"]), *tx.find("invoiceitem", invoice=invoice["id"])]:
        tx.remove(item["id"])
    emit(tx, "invoice.deleted", invoice)
    tx.remove(invoice["id"])
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


@route("GET", "/v1/invoices/{id}/lines")
def invoice_line_list(request: Request) -> Obj:
    tx, invoice = request.tx, request.tx.get(request.args["id"], "invoice")
    draft_refresh(tx, invoice)
    return listing(
        tx, request.params, "line_item", url=request.path, oldest_first=True, equal={"invoice": invoice["id"]}
    )


@route("POST", "/v1/invoices/{id}/finalize")
def invoice_finalize(request: Request) -> Obj:
    tx, invoice = request.tx, request.tx.get(request.args["id"], "invoice")
    if request.params.has("auto_advance"):
        invoice["auto_advance"] = request.params.boolean("auto_advance")
    if invoice["auto_advance"]:
        finalize_and_collect(tx, invoice)
        return invoice
    finalize(tx, invoice)
    if invoice["amount_due"] == 0:
        paid(tx, invoice, cents=0)
    return invoice


@route("POST", "/v1/invoices/{id}/pay")
def invoice_pay(request: Request) -> Obj:
    """Raises ApiError 402 when the card says no; that it was tried stays on record."""
    tx, params = request.tx, request.params
    invoice = tx.get(request.args["id"], "invoice")
    ident, out_of_band = params.text("payment_method"), params.boolean("paid_out_of_band")
    params.ignore("off_session", "forgive", "mandate")
    customer = tx.get(invoice["customer"], "customer")
    method = method_of(tx, ident, customer, param="payment_method") if ident else None
    if invoice["status"] == "draft":
        finalize(tx, invoice)
    error = pay_now(tx, invoice, method=method, out_of_band=out_of_band)
    if error:
        raise error
    return invoice


def pay_now(tx: Session, invoice: Obj, *, method: Obj | None = None, out_of_band: bool = False) -> Exception | None:
    """What an owner's or a customer's click on "pay" does. Raises ApiError for an invoice that takes no money."""
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(f"You can't pay an invoice that is {invoice['status']}.", code="invoice_not_payable")
    if out_of_band or invoice["amount_due"] == 0:
        paid(tx, invoice, cents=invoice["amount_due"], out_of_band=out_of_band)
        return None
    outcome = attempt(tx, invoice, method=method)
    return None if outcome == SUCCEEDED else open_error(tx, invoice, outcome)


@route("POST", "/v1/invoices/{id}/void")
def invoice_void(request: Request) -> Obj:
    invoice = request.tx.get(request.args["id"], "invoice")
    void(request.tx, invoice)
    return invoice


@route("POST", "/v1/invoices/{id}/mark_uncollectible")
def invoice_mark_uncollectible(request: Request) -> Obj:
    invoice = request.tx.get(request.args["id"], "invoice")
    uncollectible(request.tx, invoice)
    return invoice


@route("POST", "/v1/invoices/{id}/send")
def invoice_send(request: Request) -> Obj:
    """No mail is sent; the event is."""
    tx, invoice = request.tx, request.tx.get(request.args["id"], "invoice")
    if invoice["status"] == "draft":
        finalize(tx, invoice)
    emit(tx, "invoice.sent", invoice)
    return invoice


@route("GET", "/v1/invoice_payments")
def invoice_payment_list(request: Request) -> Obj:
    params = request.params
    equal = params.equal("invoice", "status")
    payment = params.child("payment")
    payment.ignore("type")
    if payment.given("payment_intent"):
        equal["payment__payment_intent"] = payment.text("payment_intent")
    return listing(request.tx, params, "invoice_payment", url="/v1/invoice_payments", equal=equal)


@route("GET", "/v1/invoice_payments/{id}")
def invoice_payment_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "invoice_payment")


def _fill(tx: Session, invoice: Obj, params: Params, customer: Obj) -> None:
    params.ignore(*IGNORED)
    for name in TEXTS:
        if params.has(name):
            invoice[name] = params.text(name)
    if params.has("default_payment_method"):
        ident = params.text("default_payment_method")
        method = method_of(tx, ident, customer, param="default_payment_method") if ident else None
        invoice["default_payment_method"] = method["id"] if method else None
    if params.has("collection_method"):
        methods = ("charge_automatically", "send_invoice")
        invoice["collection_method"] = params.choice("collection_method", methods, methods[0])
    if params.has("days_until_due"):
        invoice["due_date"] = now_of(tx, invoice) + params.integer("days_until_due", least=0) * DAY_S
    if params.has("due_date"):
        invoice["due_date"] = params.maybe_integer("due_date")
    if params.has("discounts"):
        _draft(invoice)
    discounts_set(tx, invoice, params)
    invoice["metadata"] = params.metadata(invoice["metadata"])
    tx.save(invoice)


def _draft(invoice: Obj) -> None:
    """Raises ApiError."""
    if invoice["status"] != "draft":
        raise invalid("Finalized invoices can't be updated in this way.", code="invoice_not_editable")
