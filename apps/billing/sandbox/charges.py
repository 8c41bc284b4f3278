"""Charges and refunds over the API."""

from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import updating
from apps.billing.sandbox.payments import refund_add
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

REASONS = ("duplicate", "fraudulent", "requested_by_customer")


@route("GET", "/v1/charges")
def charge_list(request: Request) -> Obj:
    equal = request.params.equal("customer", "payment_intent")
    return listing(request.tx, request.params, "charge", url="/v1/charges", equal=equal)


@route("GET", "/v1/charges/{id}")
def charge_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "charge")


@route("POST", "/v1/refunds")
def refund_create(request: Request) -> Obj:
    """All that is left of a charge, or an amount."""
    tx, params = request.tx, request.params
    charge = _charge(tx, params.text("charge"), params.text("payment_intent"))
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    cents = params.integer("amount", left, least=1)
    if cents > left:
        raise invalid(f"Refund amount ({cents}) is greater than unrefunded amount on charge ({left}).", param="amount")
    reason = params.choice("reason", REASONS, REASONS[2]) if params.given("reason") else None
    return refund_add(tx, charge, cents=cents, reason=reason, metadata=params.metadata())


@route("GET", "/v1/refunds")
def refund_list(request: Request) -> Obj:
    equal = request.params.equal("charge", "payment_intent")
    return listing(request.tx, request.params, "refund", url="/v1/refunds", equal=equal)


@route("GET", "/v1/charges/{id}/refunds")
def refunds_of_charge(request: Request) -> Obj:
    charge = request.tx.get(request.args["id"], "charge")
    return listing(request.tx, request.params, "refund", url=request.path, equal={"charge": charge["id"]})


@route("GET", "/v1/refunds/{id}")
def refund_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "refund")


@route("POST", "/v1/refunds/{id}")
def refund_update(request: Request) -> Obj:
    refund = request.tx.get(request.args["id"], "refund")
    with updating(request.tx, refund, "refund.updated"):
        refund["metadata"] = request.params.metadata(refund["metadata"])
    return refund


def _charge(tx: Session, charge: str | None, intent: str | None) -> Obj:
    """Raises ApiError unless there is a charge that succeeded."""
    if bool(charge) == bool(intent):
        raise invalid("Pass exactly one of charge and payment_intent.", param="charge")
    if intent:
        charge = tx.get(intent, "payment_intent", param="payment_intent")["latest_charge"]
    found = tx.get(charge or "", "charge", param="charge")
    if found["status"] != "succeeded":
        raise invalid("The charge did not succeed, so nothing can be given back.", param="charge")
    return found
