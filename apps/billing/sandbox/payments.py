"""Payment intents and charges: one attempt to take money from a card, and its refunds."""

from apps.billing.sandbox.cards import REASONS, needs_authentication
from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.errors import declined
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id, word
from apps.billing.sandbox.render import render
from apps.billing.sandbox.store import Obj, Session

SUCCEEDED = "succeeded"
FAILED = "failed"
ACTION = "requires_action"
UNUSED_BY_BOTH = (
    "application", "application_fee_amount", "on_behalf_of", "receipt_email", "review", "shipping",
    "statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group",
)  # fmt: skip
UNUSED_BY_INTENTS = (
    *UNUSED_BY_BOTH, "automatic_payment_methods", "canceled_at", "cancellation_reason", "customer_account",
    "last_payment_error", "latest_charge", "next_action", "payment_method", "processing",
)  # fmt: skip
UNUSED_BY_CHARGES = (
    *UNUSED_BY_BOTH, "application_fee", "balance_transaction", "failure_balance_transaction", "receipt_number",
    "source_transfer",
)  # fmt: skip


def intent_add(tx: Session, invoice: Obj) -> Obj:
    """The intent that an open invoice is paid through, and the invoice payment that ties the two."""
    ident = new_id("payment_intent")
    intent = dict.fromkeys(UNUSED_BY_INTENTS) | {
        "id": ident,
        "object": "payment_intent",
        "amount": invoice["amount_due"],
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic",
        "client_secret": f"{ident}_secret_{word(25)}",
        "confirmation_method": "automatic",
        "created": now_of(tx, invoice),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": f"Invoice {invoice['number']}",
        "livemode": False,
        "metadata": {},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "setup_future_usage": "off_session",
        "status": "requires_payment_method",
        "_invoice": invoice["id"],
    }
    tx.add(intent)
    emit(tx, "payment_intent.created", intent)
    tx.add(
        {
            "id": new_id("invoice_payment"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "created": intent["created"],
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": ident, "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
            "_customer": invoice["customer"],
        }
    )
    return intent


def charge_try(tx: Session, intent: Obj, method: Obj, *, authenticated: bool = False) -> str:
    """SUCCEEDED, FAILED or ACTION. `authenticated`: the customer has just said yes at the bank's page."""
    behaviour = method["_behaviour"]
    intent["payment_method"] = method["id"]
    if not authenticated and needs_authentication(behaviour, authenticated=method["_authenticated"]):
        intent["status"] = "requires_action"
        intent["next_action"] = {
            "type": "redirect_to_url",
            "redirect_to_url": {"url": f"{tx.url}/authenticate/{intent['id']}", "return_url": None},
        }
        tx.save(intent)
        emit(tx, "payment_intent.requires_action", intent)
        return ACTION
    if behaviour in REASONS:
        _refused(tx, intent, method)
        return FAILED
    if authenticated:
        method["_authenticated"] = True
        tx.save(method)
    charge = _charge_add(tx, intent, method)
    intent |= {
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "latest_charge": charge["id"],
        "next_action": None,
        "status": "succeeded",
    }
    tx.save(intent)
    emit(tx, "charge.succeeded", charge)
    emit(tx, "payment_intent.succeeded", intent)
    return SUCCEEDED


def authentication_fail(tx: Session, intent: Obj) -> None:
    method = tx.get(intent["payment_method"], "payment_method")
    error = declined(
        code="payment_intent_authentication_failure",
        decline_code=None,
        message="The provided payment method has failed authentication.",
        payment_method=render(tx, method),
    )
    _back_to_start(tx, intent, error.body)


def intent_cancel(tx: Session, intent: Obj, reason: str) -> None:
    intent |= {
        "status": "canceled", "canceled_at": now_of(tx, intent), "cancellation_reason": reason, "next_action": None,
    }  # fmt: skip
    tx.save(intent)
    emit(tx, "payment_intent.canceled", intent)


def intent_of(tx: Session, invoice: Obj) -> Obj | None:
    payment = payment_of(tx, invoice)
    return tx.maybe(payment["payment"].get("payment_intent")) if payment else None


def payment_of(tx: Session, invoice: Obj) -> Obj | None:
    found = tx.find("invoice_payment", invoice=invoice["id"])
    return found[0] if found else None


def _refused(tx: Session, intent: Obj, method: Obj) -> None:
    code, decline_code, message = REASONS[method["_behaviour"]]
    charge = _charge_add(tx, intent, method, code=code, reason=decline_code, message=message)
    error = declined(
        code=code,
        decline_code=decline_code,
        message=message,
        charge=charge["id"],
        advice_code="try_again_later",
        payment_method=render(tx, method),
    )
    intent["latest_charge"] = charge["id"]
    emit(tx, "charge.failed", charge)
    _back_to_start(tx, intent, error.body)


def _back_to_start(tx: Session, intent: Obj, error: Obj) -> None:
    intent |= {
        "last_payment_error": error, "next_action": None, "payment_method": None, "status": "requires_payment_method",
    }  # fmt: skip
    tx.save(intent)
    emit(tx, "payment_intent.payment_failed", intent)


def _charge_add(
    tx: Session, intent: Obj, method: Obj, *, code: str | None = None, reason: str | None = None,
    message: str | None = None,
) -> Obj:  # fmt: skip
    paid = code is None
    ident = new_id("charge")
    outcome = {
        "advice_code": None if paid else "try_again_later",
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if paid else "declined_by_network",
        "reason": reason or code,
        "risk_level": "normal",
        "seller_message": "Payment complete." if paid else message,
        "type": "authorized" if paid else "issuer_declined",
    }
    charge = dict.fromkeys(UNUSED_BY_CHARGES) | {
        "id": ident,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0,
        "amount_refunded": 0,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "RATELIMITER",
        "captured": paid,
        "created": now_of(tx, intent),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_code": code,
        "failure_message": message,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "outcome": outcome,
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"card": _card_shown(method["card"]), "type": "card"},
        "receipt_url": f"{tx.url}/receipt/{ident}" if paid else None,
        "refunded": False,
        "status": "succeeded" if paid else "failed",
    }
    return tx.add(charge)


def _card_shown(card: Obj) -> Obj:
    same = (
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "regulated_status",
    )
    return {name: card[name] for name in same} | {"network": card["brand"], "wallet": None}


def refund_add(tx: Session, charge: Obj, *, cents: int, reason: str | None, metadata: dict[str, str]) -> Obj:
    """Gives back part or all of a charge that succeeded. The caller has checked that so much is left."""
    refund = {
        "id": new_id("refund"),
        "object": "refund",
        "amount": cents,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": now_of(tx, charge),
        "currency": charge["currency"],
        "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
        "_customer": charge["customer"],
    }
    tx.add(refund)
    emit(tx, "refund.created", refund)
    with updating(tx, charge, "charge.refunded"):
        charge["amount_refunded"] += cents
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    return refund
