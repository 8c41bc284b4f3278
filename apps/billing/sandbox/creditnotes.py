"""Credit notes: an open invoice asks for less, a paid one is given back as credit, as a refund, or outside of here."""

from dataclasses import dataclass

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.collect import paid
from apps.billing.sandbox.customers import balance_change
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.payments import intent_of, refund_add
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

REASONS = ("duplicate", "fraudulent", "order_change", "product_unsatisfactory")


@dataclass(frozen=True)
class Parts:
    """Cents: of the whole, what becomes credit, what is refunded to the card, what was given back elsewhere."""

    total: int
    credit: int
    refund: int
    elsewhere: int


@route("POST", "/v1/credit_notes")
def credit_note_create(request: Request) -> Obj:
    tx, params = request.tx, request.params
    invoice = tx.get(params.required("invoice"), "invoice", param="invoice")
    if invoice["status"] not in ("open", "paid", "uncollectible"):
        raise invalid("You can only create credit notes for finalized invoices.", param="invoice")
    lines = _lines(tx, params, invoice)
    total = sum(line["amount"] for line in lines)
    _room_verify(tx, invoice, total)
    parts = _parts(params, invoice, total)
    note = _note(tx, params, invoice, parts)
    tx.add(note)
    for line in lines:
        tx.add(line | {"_credit_note": note["id"]})
    customer = tx.get(invoice["customer"], "customer")
    if parts.credit:
        booked = balance_change(
            tx, customer, cents=-parts.credit, kind="credit_note", currency=invoice["currency"], invoice=invoice["id"],
            credit_note=note["id"],
        )  # fmt: skip
        note["customer_balance_transaction"] = booked["id"]
    if parts.refund:
        note["refunds"] = [
            {"amount_refunded": parts.refund, "refund": _refund(tx, invoice, parts.refund), "type": "refund"}
        ]
    tx.save(note)
    emit(tx, "credit_note.created", note)
    _invoice_apply(tx, invoice, total)
    return note


@route("GET", "/v1/credit_notes")
def credit_note_list(request: Request) -> Obj:
    equal = request.params.equal("invoice", "customer")
    return listing(request.tx, request.params, "credit_note", url="/v1/credit_notes", equal=equal)


@route("GET", "/v1/credit_notes/{id}")
def credit_note_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "credit_note")


@route("POST", "/v1/credit_notes/{id}")
def credit_note_update(request: Request) -> Obj:
    note = request.tx.get(request.args["id"], "credit_note")
    with updating(request.tx, note, "credit_note.updated"):
        if request.params.has("memo"):
            note["memo"] = request.params.text("memo")
        note["metadata"] = request.params.metadata(note["metadata"])
    return note


@route("GET", "/v1/credit_notes/{id}/lines")
def credit_note_lines(request: Request) -> Obj:
    note = request.tx.get(request.args["id"], "credit_note")
    return listing(
        request.tx, request.params, "credit_note_line_item", url=request.path, oldest_first=True,
        equal={"_credit_note": note["id"]},
    )  # fmt: skip


def _lines(tx: Session, params: Params, invoice: Obj) -> list[Obj]:
    """One for the `amount`, or as `lines` say."""
    said = params.children("lines")
    if bool(said) == params.given("amount"):
        raise invalid("Pass exactly one of amount and lines.", param="amount")
    if not said:
        return [_line(params.integer("amount", least=1), "Credit", None)]
    made = []
    for one in said:
        kind = one.choice("type", ("invoice_line_item", "custom_line_item"), "custom_line_item")
        one.ignore("tax_rates", "tax_amounts")
        if kind == "invoice_line_item":
            line = tx.get(one.required("invoice_line_item"), "line_item", param=one.name("invoice_line_item"))
            if line["invoice"] != invoice["id"]:
                raise invalid("The line is not on this invoice.", param=one.name("invoice_line_item"))
            net = line["amount"] - sum(off["amount"] for off in line["discount_amounts"])
            cents = one.integer("amount", net, least=1, most=max(net, 1))
            made.append(_line(cents, line["description"], line["id"]))
        else:
            cents = one.integer("unit_amount", least=1) * one.integer("quantity", 1, least=1)
            made.append(_line(cents, one.text("description") or "Credit", None))
    return made


def _line(cents: int, text: str, invoice_line: str | None) -> Obj:
    return {
        "id": new_id("credit_note_line_item"),
        "object": "credit_note_line_item",
        "amount": cents,
        "description": text,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "pretax_credit_amounts": [],
        "quantity": None if invoice_line else 1,
        "tax_rates": [],
        "taxes": [],
        "type": "invoice_line_item" if invoice_line else "custom_line_item",
        "unit_amount": None if invoice_line else cents,
        "unit_amount_decimal": None if invoice_line else str(cents),
    } | ({"invoice_line_item": invoice_line} if invoice_line else {})


def _room_verify(tx: Session, invoice: Obj, total: int) -> None:
    """Raises ApiError when more would be credited than there is."""
    credited = sum(note["amount"] for note in tx.find("credit_note", invoice=invoice["id"]))
    room = invoice["amount_remaining"] if invoice["status"] != "paid" else invoice["total"] - credited
    if total > room:
        raise invalid(f"The credit note's amount ({total}) is more than what is left of the invoice ({room}).")


def _parts(params: Params, invoice: Obj, total: int) -> Parts:
    names = ("credit_amount", "refund_amount", "out_of_band_amount")
    credit, refund, elsewhere = (params.integer(name, least=0) for name in names)
    wanted = total if invoice["status"] == "paid" else 0
    if credit + refund + elsewhere != wanted:
        raise invalid(f"credit_amount, refund_amount and out_of_band_amount must add up to {wanted}.")
    return Parts(total, credit, refund, elsewhere)


def _note(tx: Session, params: Params, invoice: Obj, parts: Parts) -> Obj:
    number = len(tx.find("credit_note", invoice=invoice["id"])) + 1
    after = invoice["status"] == "paid"
    params.ignore("email_type", "effective_at")
    return {
        "id": new_id("credit_note"),
        "object": "credit_note",
        "amount": parts.total,
        "amount_shipping": 0,
        "created": now_of(tx, invoice),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": now_of(tx, invoice),
        "invoice": invoice["id"],
        "livemode": False,
        "memo": params.text("memo"),
        "metadata": params.metadata(),
        "number": f"{invoice['number']}-CN-{number:02}",
        "out_of_band_amount": parts.elsewhere or None,
        "pdf": invoice["invoice_pdf"],
        "post_payment_amount": parts.total if after else 0,
        "pre_payment_amount": 0 if after else parts.total,
        "pretax_credit_amounts": [],
        "reason": params.choice("reason", REASONS, REASONS[2]) if params.given("reason") else None,
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": parts.total,
        "subtotal_excluding_tax": parts.total,
        "total": parts.total,
        "total_excluding_tax": parts.total,
        "total_taxes": [],
        "type": "post_payment" if after else "pre_payment",
        "voided_at": None,
    }


def _refund(tx: Session, invoice: Obj, cents: int) -> str:
    intent = intent_of(tx, invoice)
    charge = tx.maybe(intent["latest_charge"], "charge") if intent else None
    if charge is None or cents > charge["amount"] - charge["amount_refunded"]:
        raise invalid("There is no charge on this invoice with so much left to refund.", param="refund_amount")
    return str(refund_add(tx, charge, cents=cents, reason=None, metadata={})["id"])


def _invoice_apply(tx: Session, invoice: Obj, total: int) -> None:
    if invoice["status"] == "paid":
        with updating(tx, invoice, "invoice.updated"):
            invoice["post_payment_credit_notes_amount"] += total
        return
    intent = intent_of(tx, invoice)
    with updating(tx, invoice, "invoice.updated"):
        invoice["pre_payment_credit_notes_amount"] += total
        invoice["amount_due"] -= total
        invoice["amount_remaining"] -= total
    if intent:
        intent["amount"] = invoice["amount_due"]
        tx.save(intent)
    if invoice["amount_due"] == 0:
        paid(tx, invoice, cents=0)
