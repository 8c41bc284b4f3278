"""An invoice's life: draft, final, paid or not.

Draft: lines may still change and usage is counted anew; after an hour of its clock it is finalized, unless
`auto_advance` is off. Final: totals, number and the customer's balance are fixed. Then it is collected (see `collect`).
"""

from apps.billing.sandbox.accounts import ACCOUNT, COUNTRY, NAME
from apps.billing.sandbox.clock import now_of, timer_at
from apps.billing.sandbox.coupons import discount_use
from apps.billing.sandbox.customers import balance_change, currency_settle
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id, word
from apps.billing.sandbox.lines import line_of_invoiceitem, totals_set, usage_count
from apps.billing.sandbox.payments import intent_add
from apps.billing.sandbox.periods import DAY_S
from apps.billing.sandbox.store import Obj, Session

LEAST_CHARGE_CENTS = 50
DAYS_UNTIL_DUE = 30
UNUSED = (
    "account_tax_ids", "application", "automatically_finalizes_at", "customer_account", "customer_shipping",
    "custom_fields", "default_payment_method", "default_source", "description", "due_date", "effective_at",
    "ending_balance", "footer", "from_invoice", "hosted_invoice_url", "invoice_pdf", "last_finalization_error",
    "latest_revision", "next_payment_attempt", "number", "on_behalf_of", "receipt_number", "rendering",
    "shipping_cost", "shipping_details", "statement_descriptor", "webhooks_delivered_at",
)  # fmt: skip
ZERO = (
    "amount_due", "amount_overpaid", "amount_paid", "amount_paid_off_stripe", "amount_remaining", "amount_shipping",
    "attempt_count", "post_payment_credit_notes_amount", "pre_payment_credit_notes_amount", "starting_balance",
    "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax",
)  # fmt: skip


def invoice_add(
    tx: Session, customer: Obj, *, reason: str, start: int, end: int, subscription: Obj | None = None,
    currency: str = "usd", auto_advance: bool = True,
) -> Obj:  # fmt: skip
    """A draft without lines; `draft_done` follows when they are on it."""
    currency_settle(customer, currency)
    tx.save(customer)
    by_hand = subscription["collection_method"] if subscription else "charge_automatically"
    parent = None
    if subscription:
        details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
        parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    invoice = dict.fromkeys(UNUSED) | dict.fromkeys(ZERO, 0) | {
        "id": new_id("invoice"),
        "object": "invoice",
        "account_country": COUNTRY,
        "account_name": NAME,
        "attempted": False,
        "auto_advance": auto_advance,
        "automatic_tax": {
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None,
        },
        "billing_reason": reason,
        "collection_method": by_hand,
        "created": now_of(tx, customer),
        "currency": currency,
        "customer": customer["id"],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"account": ACCOUNT, "type": "self"},
        "livemode": False,
        "metadata": {},
        "parent": parent,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": end,
        "period_start": start,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None,
        },
        "test_clock": customer["test_clock"],
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "_subscription": subscription["id"] if subscription else None,
        "_page": word(32),
    }  # fmt: skip
    _customer_copy(tx, invoice, customer)
    return tx.add(invoice)


def pending_take(tx: Session, invoice: Obj, *, of_subscription_only: bool = False) -> None:
    """Pending invoice items of the customer that are not another subscription's."""
    for pending in tx.find("invoiceitem", customer=invoice["customer"], invoice=None):
        mine = pending["_subscription"] == invoice["_subscription"]
        anybody = pending["_subscription"] is None and not of_subscription_only
        if pending["currency"] == invoice["currency"] and (mine or anybody):
            line_of_invoiceitem(tx, invoice, pending)


def draft_done(tx: Session, invoice: Obj, *, finalize_at: int | None) -> None:
    """Announces a new draft; `finalize_at` None: it waits for someone to finalize it."""
    totals_set(tx, invoice)
    finalize_at_set(tx, invoice, finalize_at)
    tx.save(invoice)
    emit(tx, "invoice.created", invoice)
    subscription = tx.maybe(invoice["_subscription"])
    if subscription:
        with updating(tx, subscription, "customer.subscription.updated"):
            subscription["latest_invoice"] = invoice["id"]


def finalize_at_set(tx: Session, invoice: Obj, at: int | None) -> None:
    """The caller saves."""
    invoice["automatically_finalizes_at"] = at
    timer_at(tx, invoice, "finalize", at)


def draft_refresh(tx: Session, invoice: Obj) -> None:
    """Usage that came in since the draft was made is on it when it is looked at, or final."""
    if invoice["status"] != "draft":
        return
    for line in tx.find("line_item", invoice=invoice["id"]):
        if "_meter" in line:
            usage_count(tx, line)
    totals_set(tx, invoice)
    tx.save(invoice)


def finalize(tx: Session, invoice: Obj) -> None:
    """Draft to open, or to paid where nothing is due. Raises ApiError."""
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.",
                      code="invoice_not_editable")  # fmt: skip
    draft_refresh(tx, invoice)
    customer = tx.get(invoice["customer"], "customer")
    now = now_of(tx, invoice)
    _customer_copy(tx, invoice, customer)
    _number_set(tx, invoice, customer)
    _balance_apply(tx, invoice, customer)
    finalize_at_set(tx, invoice, None)
    for ident in invoice["discounts"]:
        discount_use(tx, tx.get(ident, "discount"))
    if invoice["collection_method"] == "send_invoice":
        _due_set(tx, invoice, now)
    invoice |= {
        "status": "open",
        "effective_at": now,
        "hosted_invoice_url": f"{tx.url}/invoice/{invoice['id']}/{invoice['_page']}",
        "invoice_pdf": f"{tx.url}/invoice/{invoice['id']}/{invoice['_page']}/pdf",
        "status_transitions": invoice["status_transitions"] | {"finalized_at": now},
    }
    tx.save(invoice)
    emit(tx, "invoice.finalized", invoice)
    if invoice["amount_due"] > 0:
        intent_add(tx, invoice)


def _due_set(tx: Session, invoice: Obj, now: int) -> None:
    subscription = tx.maybe(invoice["_subscription"])
    days = (subscription["days_until_due"] if subscription else None) or DAYS_UNTIL_DUE
    invoice["due_date"] = invoice["due_date"] or now + days * DAY_S
    timer_at(tx, invoice, "overdue", invoice["due_date"])


def _customer_copy(tx: Session, invoice: Obj, customer: Obj) -> None:
    tax_ids = tx.find("tax_id", customer=customer["id"])
    invoice |= {
        "customer_address": customer.get("address"),
        "customer_email": customer.get("email"),
        "customer_name": customer.get("name"),
        "customer_phone": customer.get("phone"),
        "customer_tax_exempt": customer.get("tax_exempt"),
        "customer_tax_ids": [{"type": one["type"], "value": one["value"]} for one in tax_ids],
    }


def _number_set(tx: Session, invoice: Obj, customer: Obj) -> None:
    if customer.get("deleted"):
        invoice["number"] = f"DELETED-{tx.count('deleted'):04}"
        return
    sequence = customer["next_invoice_sequence"]
    invoice["number"] = invoice["number"] or f"{customer['invoice_prefix']}-{sequence:04}"
    customer["next_invoice_sequence"] = sequence + 1
    tx.save(customer)


def _balance_apply(tx: Session, invoice: Obj, customer: Obj) -> None:
    """Credit is used, debt is added, and what is left too small to charge is carried to the next invoice."""
    balance = invoice["starting_balance"]
    due = invoice["total"] + balance
    if due < LEAST_CHARGE_CENTS:
        ending, due = due, 0
    else:
        ending = 0
    change = ending - balance
    if change and not customer.get("deleted"):
        balance_change(
            tx, customer, cents=change, kind="applied_to_invoice", currency=invoice["currency"], invoice=invoice["id"]
        )
    invoice |= {"amount_due": due, "amount_remaining": due, "ending_balance": ending}
