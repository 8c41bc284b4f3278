"""Invoice lines: what, for when, how many, at what price, how much. Each is rounded here, once (see `money`)."""

from decimal import Decimal

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.coupons import coupon_of, discounts_of, percent_of
from apps.billing.sandbox.events import emit
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.meters import usage_total
from apps.billing.sandbox.money import amount, share, split
from apps.billing.sandbox.store import Obj, Session


def metered(price: Obj) -> bool:
    return bool(price["recurring"]) and price["recurring"]["usage_type"] == "metered"


def line_licensed(
    tx: Session, invoice: Obj, item: Obj, *, start: int, end: int, whole_s: int | None = None, trial: bool = False
) -> Obj:
    """An item's fee for [start, end) in advance; `whole_s`: how long a full period is, when this is a part of one."""
    price = tx.get(item["price"], "price")
    full = 0 if trial else amount(price["unit_amount_decimal"], item["quantity"])
    cents = share(full, end - start, whole_s) if whole_s else full
    name = product_name(tx, price)
    text = f"Trial period for {name}" if trial else f"{item['quantity']} × {name} (at {price_text(price)})"
    line = _line_add(
        tx, invoice, cents=cents, text=text, start=start, end=end, price=price, quantity=item["quantity"],
        parent=_of_item(item), item=item,
    )  # fmt: skip
    if not trial:
        item["_debits"] = [{"line": line["id"], "start": start, "end": end}]
        tx.save(item)
    return line


def line_metered(tx: Session, invoice: Obj, item: Obj, *, start: int, end: int) -> Obj:
    """What was used in [start, end), in arrears. Counted anew until the invoice is final."""
    price = tx.get(item["price"], "price")
    line = _line_add(
        tx, invoice, cents=0, text="", start=start, end=end, price=price, quantity=0, parent=_of_item(item), item=item,
        more={"_meter": price["recurring"]["meter"], "_customer": invoice["customer"]},
    )  # fmt: skip
    usage_count(tx, line)
    return line


def line_of_invoiceitem(tx: Session, invoice: Obj, pending: Obj) -> Obj:
    """A pending invoice item goes onto an invoice."""
    pending["invoice"] = invoice["id"]
    tx.save(pending)
    details = {
        "invoice_item": pending["id"],
        "proration": pending["proration"],
        "proration_details": {"credited_items": None},
        "subscription": pending["_subscription"],
    }
    if pending["_item"]:
        parent = {
            "invoice_item_details": None,
            "subscription_item_details": details | {"subscription_item": pending["_item"]},
            "type": "subscription_item_details",
        }
    else:
        parent = {
            "invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details",
        }  # fmt: skip
    line = _line_add(
        tx, invoice, cents=pending["amount"], text=pending["description"], start=pending["period"]["start"],
        end=pending["period"]["end"], price=tx.maybe(pending["_price"]), quantity=pending["quantity"], parent=parent,
        more={"metadata": pending["metadata"], "discountable": pending["discountable"]},
    )  # fmt: skip
    item = tx.maybe(pending["_item"])
    if item:
        for debit in item["_debits"]:
            if debit.get("pending") == pending["id"]:
                debit["line"] = line["id"]
        tx.save(item)
    return line


def usage_count(tx: Session, line: Obj) -> None:
    """Brings a metered line up to what its meter says now."""
    price = tx.get(line["pricing"]["price_details"]["price"], "price")
    period = line["period"]
    total = usage_total(
        tx, meter=line["_meter"], customer=line["_customer"], start=period["start"], end=period["end"]
    )  # fmt: skip
    quantity = max(0, total)
    cents = amount(price["unit_amount_decimal"], quantity)
    line |= {
        "amount": cents,
        "subtotal": cents,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "description": f"{quantity} × {product_name(tx, price)} (at {price_text(price)})",
    }
    tx.save(line)


def totals_set(tx: Session, invoice: Obj) -> None:
    """Subtotal, discounts, total and what is due, from the lines as they are. The caller saves the invoice."""
    lines = tx.find("line_item", invoice=invoice["id"])
    for line in lines:
        line["discount_amounts"], line["discounts"] = [], []
    owners = [invoice, *(one for one in [tx.maybe(invoice["_subscription"])] if one)]
    totals = []
    for discount in discounts_of(tx, owners, invoice["created"]):
        off = _discount(tx, discount, lines, invoice["currency"])
        totals.append({"amount": off, "discount": discount["id"]})
    for line in lines:
        tx.save(line)
    subtotal = sum(line["amount"] for line in lines)
    total = subtotal - sum(one["amount"] for one in totals)
    customer = tx.get(invoice["customer"], "customer")
    balance = customer.get("balance", 0)
    invoice |= {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": total,
        "total_excluding_tax": total,
        "total_discount_amounts": totals,
        "discounts": [one["discount"] for one in totals],
        "starting_balance": balance,
        "amount_due": max(0, total + balance),
        "amount_remaining": max(0, total + balance),
    }


def invoiceitem_add(
    tx: Session, customer: Obj, *, cents: int, currency: str, text: str | None, start: int, end: int,
    subscription: str | None = None, item: Obj | None = None, price: Obj | None = None, quantity: int = 1,
    proration: bool = False, discountable: bool = True, metadata: dict[str, str] | None = None,
    invoice: str | None = None,
) -> Obj:  # fmt: skip
    """Pending until the next invoice takes it, unless it says which."""
    parent = None
    if subscription:
        details = {"subscription": subscription, "subscription_item": item["id"] if item else None}
        parent = {"type": "subscription_details", "subscription_details": details}
    made = {
        "id": new_id("invoiceitem"),
        "object": "invoiceitem",
        "amount": cents,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "date": now_of(tx, customer),
        "description": text,
        "discountable": discountable,
        "discounts": [],
        "invoice": invoice,
        "livemode": False,
        "metadata": metadata or {},
        "net_amount": cents,
        "parent": parent,
        "period": {"start": start, "end": end},
        "pricing": _pricing(price),
        "proration": proration,
        "proration_details": {"discount_amounts": []},
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "tax_rates": [],
        "test_clock": customer["test_clock"],
        "_subscription": subscription,
        "_item": item["id"] if item else None,
        "_price": price["id"] if price else None,
    }
    tx.add(made)
    emit(tx, "invoiceitem.created", made)
    return made


def product_name(tx: Session, price: Obj) -> str:
    product = tx.maybe(price["product"], "product")
    return str(product["name"]) if product else str(price["product"])


def price_text(price: Obj) -> str:
    dollars = Decimal(price["unit_amount_decimal"]) / 100
    unit = "$" if price["currency"] == "usd" else f"{price['currency'].upper()} "
    text = f"{dollars:f}"
    places = max(2, len(text.partition(".")[2]))
    per = f" / {price['recurring']['interval']}" if price["recurring"] and not price["recurring"]["meter"] else ""
    return f"{unit}{dollars:.{places}f}{per}"


def _discount(tx: Session, discount: Obj, lines: list[Obj], currency: str) -> int:
    """Takes a discount off the lines that may have one; cents. What a line was credited with is not discounted."""
    coupon = coupon_of(tx, discount)
    if coupon["amount_off"] and coupon["currency"] != currency:
        return 0
    open_lines = [line for line in lines if line["discountable"] and line["amount"] > 0]
    nets = [line["amount"] - sum(one["amount"] for one in line["discount_amounts"]) for line in open_lines]
    if coupon["percent_off"] is not None:
        hundredths = int(percent_of(coupon) * 100)
        total = share(sum(nets), hundredths, 10_000)
    else:
        total = min(coupon["amount_off"], sum(nets))
    for line, off in zip(open_lines, split(total, nets), strict=True):
        line["discount_amounts"].append({"amount": off, "discount": discount["id"]})
        line["discounts"].append(discount["id"])
    return total


def _line_add(
    tx: Session, invoice: Obj, *, cents: int, text: str | None, start: int, end: int, price: Obj | None,
    quantity: int, parent: Obj, item: Obj | None = None, more: Obj | None = None,
) -> Obj:  # fmt: skip
    subscription = (parent["subscription_item_details"] or parent["invoice_item_details"])["subscription"]
    return tx.add(
        {
            "id": new_id("line_item"),
            "object": "line_item",
            "amount": cents,
            "currency": invoice["currency"],
            "description": text,
            "discount_amounts": [],
            "discountable": True,
            "discounts": [],
            "invoice": invoice["id"],
            "livemode": False,
            "metadata": dict(item["metadata"]) if item else {},
            "parent": parent,
            "period": {"start": start, "end": end},
            "pretax_credit_amounts": [],
            "pricing": _pricing(price),
            "quantity": quantity,
            "quantity_decimal": str(quantity),
            "subscription": subscription,
            "subtotal": cents,
            "taxes": [],
        }
        | (more or {})
    )


def _of_item(item: Obj) -> Obj:
    return {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": None,
            "proration": False,
            "proration_details": {"credited_items": None},
            "subscription": item["subscription"],
            "subscription_item": item["id"],
        },
        "type": "subscription_item_details",
    }


def _pricing(price: Obj | None) -> Obj | None:
    if price is None:
        return None
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": price["unit_amount_decimal"],
    }
