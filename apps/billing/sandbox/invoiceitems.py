"""Invoice items: single amounts that wait for the next invoice, or go onto a draft."""

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.coupons import discounts_set
from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.lines import invoiceitem_add, line_of_invoiceitem, product_name, totals_set
from apps.billing.sandbox.money import amount
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import Extra, listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session


@route("POST", "/v1/invoiceitems")
def invoiceitem_create(request: Request) -> Obj:
    customer = alive(request.tx, request.params.required("customer"), param="customer")
    return invoiceitem_read(request.tx, request.params, customer)


def invoiceitem_read(tx: Session, params: Params, customer: Obj) -> Obj:
    """Makes one of an `amount`, or of a price and a quantity. Raises ApiError."""
    params.ignore("tax_behavior", "tax_code", "tax_rates", "discounts")
    subscription, invoice = _owner(tx, params, "subscription"), _owner(tx, params, "invoice")
    if invoice and invoice["status"] != "draft":
        raise invalid("You can only add invoice items to draft invoices.", param="invoice",
                      code="invoice_not_editable")  # fmt: skip
    price, quantity, cents, currency = _worth(tx, params, customer)
    now = now_of(tx, customer)
    period = params.child("period")
    start = period.integer("start", now)
    end = period.integer("end", start)
    text = params.text("description") or (product_name(tx, price) if price else None)
    made = invoiceitem_add(
        tx, customer, cents=cents, currency=currency, text=text, start=start, end=end,
        subscription=subscription["id"] if subscription else None, price=price, quantity=quantity,
        discountable=params.boolean("discountable", default=cents > 0), metadata=params.metadata(),
    )  # fmt: skip
    if invoice:
        line_of_invoiceitem(tx, invoice, made)
        with updating(tx, invoice, "invoice.updated"):
            totals_set(tx, invoice)
    return made


@route("GET", "/v1/invoiceitems")
def invoiceitem_list(request: Request) -> Obj:
    params = request.params
    equal = params.equal("customer", "invoice")
    extra: Extra = []
    if params.given("pending"):
        extra.append((f"invoice IS {'NULL' if params.boolean('pending') else 'NOT NULL'}", []))
    return listing(request.tx, params, "invoiceitem", url="/v1/invoiceitems", extra=extra, equal=equal)


@route("GET", "/v1/invoiceitems/{id}")
def invoiceitem_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "invoiceitem")


@route("POST", "/v1/invoiceitems/{id}")
def invoiceitem_update(request: Request) -> Obj:
    tx, params = request.tx, request.params
    item = _pending(tx, request.args["id"])
    with updating(tx, item, "invoiceitem.updated"):
        if params.has("amount"):
            item["amount"] = item["net_amount"] = params.integer("amount")
        if params.has("description"):
            item["description"] = params.text("description")
        if params.has("discountable"):
            item["discountable"] = params.boolean("discountable")
        discounts_set(tx, item, params)
        item["metadata"] = params.metadata(item["metadata"])
    return item


@route("DELETE", "/v1/invoiceitems/{id}")
def invoiceitem_delete(request: Request) -> Obj:
    item = _pending(request.tx, request.args["id"])
    emit(request.tx, "invoiceitem.deleted", item)
    request.tx.remove(item["id"])
    return {"id": item["id"], "object": "invoiceitem", "deleted": True}


def _worth(tx: Session, params: Params, customer: Obj) -> tuple[Obj | None, int, int, str]:
    """Price, quantity, cents, currency."""
    currency = (params.text("currency") or customer["currency"] or "usd").lower()
    quantity = params.integer("quantity", 1, least=0)
    ident = params.child("pricing").text("price")
    unit = params.decimal("unit_amount_decimal")
    if sum((params.given("amount"), bool(ident), unit is not None)) != 1:
        raise invalid("Pass exactly one of amount, pricing[price] and unit_amount_decimal.", param="amount")
    if ident:
        price = tx.get(ident, "price", param="pricing[price]")
        return price, quantity, amount(price["unit_amount_decimal"], quantity), price["currency"]
    if unit is not None:
        return None, quantity, amount(str(unit), quantity), currency
    return None, 1, params.integer("amount"), currency


def _owner(tx: Session, params: Params, kind: str) -> Obj | None:
    ident = params.text(kind)
    return tx.get(ident, kind, param=kind) if ident else None


def _pending(tx: Session, ident: str) -> Obj:
    """Raises ApiError for one that is on an invoice already."""
    item = tx.get(ident, "invoiceitem")
    if item["invoice"]:
        raise invalid("This invoice item is attached to an invoice and can no longer be changed here.",
                      code="invoice_not_editable")  # fmt: skip
    return item
