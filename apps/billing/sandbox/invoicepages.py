"""An invoice as a page, where it can be paid, and as a PDF; and a charge's receipt."""

import secrets
from datetime import UTC, datetime
from html import escape

from apps.billing.sandbox.accounts import NAME
from apps.billing.sandbox.collect import attempt, open_error
from apps.billing.sandbox.errors import ApiError, missing
from apps.billing.sandbox.forms import FILLED_IN, card_fields, card_from, cards_known
from apps.billing.sandbox.html import document, money, redirect, table
from apps.billing.sandbox.methods import method_attach
from apps.billing.sandbox.payments import ACTION, SUCCEEDED, intent_of
from apps.billing.sandbox.pdf import Line, pdf_of
from apps.billing.sandbox.routes import Page, Request, page
from apps.billing.sandbox.store import Obj, Session

TEXT_WIDTH = 68


@page("GET", "/invoice/{id}/{secret}")
def invoice_show(request: Request) -> Page:
    return _shown(request.tx, _invoice(request), card=request.params.text("card") or FILLED_IN)


@page("POST", "/invoice/{id}/{secret}")
def invoice_pay(request: Request) -> Page:
    tx, invoice = request.tx, _invoice(request)
    if invoice["status"] not in ("open", "uncollectible"):
        return redirect(_path(invoice))
    try:
        with tx.all_or_nothing():
            customer = tx.get(invoice["customer"], "customer")
            method = method_attach(tx, card_from(tx, request.params)["id"], customer)
    except ApiError as error:
        invoice = tx.get(invoice["id"], "invoice")
        return _shown(tx, invoice, card=request.params.text("number") or FILLED_IN, problem=str(error))
    outcome = attempt(tx, invoice, method=method)
    intent = intent_of(tx, invoice)
    if outcome == ACTION and intent:
        intent["next_action"]["redirect_to_url"]["return_url"] = f"{tx.url}{_path(invoice)}"
        tx.save(intent)
        return redirect(f"/authenticate/{intent['id']}")
    if outcome != SUCCEEDED:
        return _shown(tx, invoice, card=FILLED_IN, problem=str(open_error(tx, invoice, outcome)))
    return redirect(_path(invoice))


@page("GET", "/invoice/{id}/{secret}/pdf")
def invoice_pdf(request: Request) -> Page:
    invoice = _invoice(request)
    name = f"Invoice-{invoice['number']}.pdf"
    body = pdf_of(f"Invoice {invoice['number']}", [*_head(invoice), *_sums(request.tx, invoice)])
    return Page(body, kind="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}"'})


@page("GET", "/receipt/{id}")
def receipt(request: Request) -> Page:
    charge = request.tx.get(request.args["id"], "charge")
    rows = [
        (escape(charge["description"] or "Payment"), money(charge["amount"], charge["currency"])),
        ("Refunded", money(-charge["amount_refunded"], charge["currency"])),
    ]
    return document("Receipt", table(rows))


def _invoice(request: Request) -> Obj:
    invoice = request.tx.get(request.args["id"], "invoice")
    if not secrets.compare_digest(invoice["_page"], request.args["secret"]) or invoice["status"] == "draft":
        raise missing("invoice", request.args["id"])
    return invoice


def _path(invoice: Obj) -> str:
    return f"/invoice/{invoice['id']}/{invoice['_page']}"


def _shown(tx: Session, invoice: Obj, *, card: str, problem: str | None = None) -> Page:
    head = "".join(f"<p>{escape(left)}</p>" for left, _ in _head(invoice) if left)
    rows = [(escape(left), escape(right)) for left, right in _sums(tx, invoice) if left]
    parts = [head, table(rows, last_is_sum=True), f'<a class="button quiet" href="{_path(invoice)}/pdf">PDF</a>']
    if problem:
        parts.insert(0, f'<p class="bad" role="alert">{escape(problem)}</p>')
    if invoice["status"] in ("open", "uncollectible"):
        form = f'<form method="post" action="{_path(invoice)}">{card_fields(card)}<button>Pay</button></form>'
        parts += [f"<h2>Pay</h2>{form}{cards_known(_path(invoice))}"]
    return document(f"Invoice {invoice['number']}", *parts)


def _head(invoice: Obj) -> list[Line]:
    to = " · ".join(part for part in (invoice["customer_name"], invoice["customer_email"]) if part)
    tax_ids = ", ".join(f"{one['type']} {one['value']}" for one in invoice["customer_tax_ids"])
    period = f"{_minute(invoice['period_start'])} to {_minute(invoice['period_end'])} UTC"
    lines = [
        (f"From {NAME}. Test mode: no money moves.", ""),
        (f"To {to or invoice['customer']}", ""),
        *([(f"Tax ID {tax_ids}", "")] if tax_ids else []),
        (f"Date {_minute(invoice['effective_at'] or invoice['created'])} UTC, for {period}", ""),
        (f"State: {invoice['status']}", ""),
        ("", ""),
    ]
    return [(left[: TEXT_WIDTH + 20], right) for left, right in lines]


def _sums(tx: Session, invoice: Obj) -> list[Line]:
    currency = invoice["currency"]
    rows: list[Line] = [
        ((line["description"] or "")[:TEXT_WIDTH], money(line["amount"], currency))
        for line in tx.find("line_item", invoice=invoice["id"])
    ]
    off = invoice["subtotal"] - invoice["total"]
    if off:
        rows.append(("Discount", money(-off, currency)))
    rows.append(("Total", money(invoice["total"], currency)))
    if invoice["starting_balance"]:
        applied = (invoice["ending_balance"] or 0) - invoice["starting_balance"]
        rows.append(("From the balance", money(-applied, currency)))
    rows.append(("Amount due", money(invoice["amount_due"], currency)))
    return rows


def _minute(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
