"""Payment methods: cards on customers."""

from apps.billing.sandbox.cards import NAMES, Card, attach_error, card_named, card_read
from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.customers import address_read, alive
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session


@route("POST", "/v1/payment_methods")
def method_create(request: Request) -> Obj:
    params = request.params
    params.choice("type", ("card",), "card")
    card = params.child("card")
    token = card.text("token")
    method = method_add(
        request.tx,
        card_named(token) if token else card_read(card.required("number")),
        exp_month=card.integer("exp_month", 12),
        exp_year=card.integer("exp_year", 2034),
    )
    card.ignore("cvc", "networks")
    params.ignore("allow_redisplay")
    _details_fill(method, params.child("billing_details"))
    method["metadata"] = params.metadata()
    request.tx.save(method)
    return method


@route("GET", "/v1/payment_methods")
def method_list(request: Request) -> Obj:
    return _attached(request, request.params.text("customer"), "/v1/payment_methods")


@route("GET", "/v1/customers/{id}/payment_methods")
def customer_method_list(request: Request) -> Obj:
    request.tx.get(request.args["id"], "customer")
    return _attached(request, request.args["id"], request.path)


@route("GET", "/v1/payment_methods/{id}")
def method_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "payment_method")


@route("POST", "/v1/payment_methods/{id}")
def method_update(request: Request) -> Obj:
    method, params = request.tx.get(request.args["id"], "payment_method"), request.params
    with updating(request.tx, method, "payment_method.updated"):
        card = params.child("card")
        for name in ("exp_month", "exp_year"):
            if card.given(name):
                method["card"][name] = card.integer(name)
        _details_fill(method, params.child("billing_details"))
        method["metadata"] = params.metadata(method["metadata"])
    return method


@route("POST", "/v1/payment_methods/{id}/attach")
def method_attach_to(request: Request) -> Obj:
    customer = alive(request.tx, request.params.required("customer"), param="customer")
    return method_attach(request.tx, request.args["id"], customer)


@route("POST", "/v1/payment_methods/{id}/detach")
def method_detach(request: Request) -> Obj:
    tx, method = request.tx, request.tx.get(request.args["id"], "payment_method")
    customer = tx.maybe(method["customer"], "customer")
    if customer is None:
        raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
    if customer["invoice_settings"]["default_payment_method"] == method["id"]:
        with updating(tx, customer, "customer.updated"):
            customer["invoice_settings"] = customer["invoice_settings"] | {"default_payment_method": None}
    for subscription in tx.find("subscription", customer=customer["id"], default_payment_method=method["id"]):
        with updating(tx, subscription, "customer.subscription.updated"):
            subscription["default_payment_method"] = None
    method["customer"] = None
    tx.save(method)
    emit(tx, "payment_method.detached", method, previous={"customer": customer["id"]})
    return method


def method_attach(tx: Session, ident: str, customer: Obj) -> Obj:
    """Raises ApiError 402 when the bank refuses to keep the card."""
    method = method_found(tx, ident)
    if method["customer"] == customer["id"]:
        return method
    if method["customer"]:
        raise invalid("The payment method you provided has already been attached to a customer.")
    error = attach_error(method["_behaviour"])
    if error:
        raise error
    method["customer"] = customer["id"]
    method["created"] = now_of(tx, customer)
    tx.save(method)
    emit(tx, "payment_method.attached", method)
    return method


def method_found(tx: Session, ident: str, *, param: str = "payment_method") -> Obj:
    """`pm_card_visa` and the like make a new one at each use."""
    return method_add(tx, card_named(ident)) if ident in NAMES else tx.get(ident, "payment_method", param=param)


def method_of(tx: Session, ident: str, customer: Obj, *, param: str) -> Obj:
    """A method that is the customer's. Raises ApiError."""
    method = tx.get(ident, "payment_method", param=param)
    if method["customer"] != customer["id"]:
        raise invalid(
            f"The customer does not have a payment method with the ID {ident}. The payment method must be attached "
            "to the customer.",
            param=param,
            code="resource_missing",
        )
    return method


def default_set(tx: Session, customer: Obj, method: Obj) -> None:
    with updating(tx, customer, "customer.updated"):
        customer["invoice_settings"] = customer["invoice_settings"] | {"default_payment_method": method["id"]}


def method_add(tx: Session, card: Card, *, exp_month: int = 12, exp_year: int = 2034) -> Obj:
    if not 1 <= exp_month <= 12:
        raise invalid("Your card's expiration month is invalid.", param="exp_month", code="invalid_expiry_month")
    method = {
        "id": new_id("payment_method"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {"address": _no_address(), "email": None, "name": None, "phone": None, "tax_id": None},
        "card": {
            "brand": card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": card.brand,
            "exp_month": exp_month,
            "exp_year": exp_year if exp_year > 99 else 2000 + exp_year,
            "fingerprint": f"{card.brand}{card.last4}sandbox"[:16],
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": int(tx.real_now),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
        "_behaviour": card.behaviour,
        "_authenticated": False,
    }
    return tx.add(method)


def _no_address() -> Obj:
    return dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def _details_fill(method: Obj, params: Params) -> None:
    params.ignore("tax_id")
    for name in ("email", "name", "phone"):
        if params.has(name):
            method["billing_details"][name] = params.text(name)
    if params.given("address"):
        method["billing_details"]["address"] = address_read(params)


def _attached(request: Request, customer: str | None, url: str) -> Obj:
    request.params.choice("type", ("card",), "card")
    request.params.ignore("allow_redisplay")
    if not customer:
        return {"object": "list", "url": url, "has_more": False, "data": []}
    return listing(request.tx, request.params, "payment_method", url=url, equal={"customer": customer})
