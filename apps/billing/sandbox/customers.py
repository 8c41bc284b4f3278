"""Customers, their tax ids and their credit balance."""

from typing import Any

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.errors import invalid, missing
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id, word
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
TEXTS = ("description", "email", "name", "phone", "business_name", "individual_name")


@route("POST", "/v1/customers")
def customer_create(request: Request) -> Obj:
    return customer_add(request.tx, request.params)


def customer_add(tx: Session, params: Params) -> Obj:
    clock = params.text("test_clock")
    now = tx.get(clock, "test_helpers.test_clock", param="test_clock")["_now"] if clock else int(tx.real_now)
    customer: Obj = {
        "id": new_id("customer", letters=14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": word(8).upper(),
        "invoice_settings": {
            "custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": clock,
    }  # fmt: skip
    tx.add(customer)
    _fill(tx, customer, params)
    tx.save(customer)
    emit(tx, "customer.created", customer)
    method = params.text("payment_method")
    if method:
        from apps.billing.sandbox.methods import method_attach  # it stands on customers

        method_attach(tx, method, customer)
    for tax in params.children("tax_id_data"):
        from apps.billing.sandbox.taxids import tax_id_add  # it stands on customers

        tax_id_add(tx, customer, kind=tax.required("type"), value=tax.required("value"))
    return customer


@route("GET", "/v1/customers")
def customer_list(request: Request) -> Obj:
    params = request.params
    equal = params.equal("email", "test_clock")
    extra = [("json_extract(data, '$.deleted') IS NULL", list[Any]())]
    return listing(request.tx, params, "customer", url="/v1/customers", extra=extra, equal=equal)


@route("GET", "/v1/customers/{id}")
def customer_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "customer")


@route("POST", "/v1/customers/{id}")
def customer_update(request: Request) -> Obj:
    customer = alive(request.tx, request.args["id"])
    with updating(request.tx, customer, "customer.updated"):
        _fill(request.tx, customer, request.params)
    return customer


@route("DELETE", "/v1/customers/{id}")
def customer_delete(request: Request) -> Obj:
    tx, customer = request.tx, alive(request.tx, request.args["id"])
    from apps.billing.sandbox.canceling import subscription_end  # it stands on customers

    for subscription in tx.find("subscription", customer=customer["id"]):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            subscription_end(tx, subscription, reason="cancellation_requested")
    emit(tx, "customer.deleted", customer)
    gone = {"id": customer["id"], "object": "customer", "deleted": True}
    customer.clear()
    customer.update(gone)
    tx.save(customer)
    return customer


@route("GET", "/v1/customers/{id}/sources")
def source_list(request: Request) -> Obj:
    """Cards are payment methods; there are no sources of the old kind."""
    customer = request.tx.get(request.args["id"], "customer")
    request.params.ignore("object")
    return listing(request.tx, request.params, "source", url=request.path, equal={"customer": customer["id"]})


@route("POST", "/v1/customers/{id}/balance_transactions")
def balance_transaction_create(request: Request) -> Obj:
    """A negative amount is credit for the customer."""
    tx, params = request.tx, request.params
    customer = alive(tx, request.args["id"])
    params.required("amount")
    return balance_change(
        tx, customer, cents=params.integer("amount"), kind="adjustment", currency=params.required("currency"),
        description=params.text("description"), metadata=params.metadata(),
    )  # fmt: skip


@route("GET", "/v1/customers/{id}/balance_transactions")
def balance_transaction_list(request: Request) -> Obj:
    customer = request.tx.get(request.args["id"], "customer")
    url = f"/v1/customers/{customer['id']}/balance_transactions"
    equal = request.params.equal("invoice")
    kind = "customer_balance_transaction"
    return listing(request.tx, request.params, kind, url=url, equal=equal | {"customer": customer["id"]})


@route("GET", "/v1/customers/{id}/balance_transactions/{transaction}")
def balance_transaction_retrieve(request: Request) -> Obj:
    found = request.tx.get(request.args["transaction"], "customer_balance_transaction")
    if found["customer"] != request.args["id"]:
        raise missing("customer_balance_transaction", found["id"])
    return found


def balance_change(
    tx: Session, customer: Obj, *, cents: int, kind: str, currency: str, invoice: str | None = None,
    credit_note: str | None = None, description: str | None = None, metadata: dict[str, str] | None = None,
) -> Obj:  # fmt: skip
    """Books cents on the customer's balance: negative is credit, positive is owed and added to the next invoice."""
    currency_settle(customer, currency)
    with updating(tx, customer, "customer.updated"):
        customer["balance"] += cents
    made = {
        "id": new_id("customer_balance_transaction"),
        "object": "customer_balance_transaction",
        "amount": cents,
        "checkout_session": None,
        "created": now_of(tx, customer),
        "credit_note": credit_note,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "description": description,
        "ending_balance": customer["balance"],
        "invoice": invoice,
        "livemode": False,
        "metadata": metadata or {},
        "type": kind,
    }
    tx.add(made)
    emit(tx, "customer_balance_transaction.created", made)
    return made


def alive(tx: Session, ident: str, *, param: str = "id") -> Obj:
    """A customer that was not deleted. Raises ApiError."""
    customer = tx.get(ident, "customer", param=param)
    if customer.get("deleted"):
        raise missing("customer", ident, param=param)
    return customer


def currency_settle(customer: Obj, currency: str) -> None:
    """A customer pays in one currency. Raises ApiError. The caller saves."""
    if customer["currency"] not in (None, currency):
        raise invalid(f"You cannot combine currencies on a single customer, which has {customer['currency']}.")
    customer["currency"] = currency


def address_read(params: Params, name: str = "address") -> Obj | None:
    if not params.given(name):
        params.text(name)
        return None
    child = params.child(name)
    return {part: child.text(part) for part in ADDRESS}


def _fill(tx: Session, customer: Obj, params: Params) -> None:
    params.ignore("shipping", "preferred_locales", "tax", "cash_balance", "source")
    for name in TEXTS:
        if params.has(name):
            customer[name] = params.text(name)
    if params.has("address"):
        customer["address"] = address_read(params)
    if params.has("tax_exempt"):
        customer["tax_exempt"] = params.choice("tax_exempt", ("none", "exempt", "reverse"), "none")
    if params.has("balance"):
        change = params.integer("balance") - customer["balance"]
        if change:
            balance_change(tx, customer, cents=change, kind="adjustment", currency=customer["currency"] or "usd")
    if params.has("invoice_prefix"):
        customer["invoice_prefix"] = params.required("invoice_prefix")
    settings = params.child("invoice_settings")
    settings.ignore("footer", "custom_fields", "rendering_options")
    if settings.has("default_payment_method"):
        method = settings.text("default_payment_method")
        if method and tx.get(method, "payment_method", param="default_payment_method")["customer"] != customer["id"]:
            raise invalid(
                "The customer does not have a payment method with the ID "
                f"{method}. The payment method must be attached to the customer.",
                param="invoice_settings[default_payment_method]",
                code="resource_missing",
            )
        customer["invoice_settings"] = customer["invoice_settings"] | {"default_payment_method": method}
    customer["metadata"] = params.metadata(customer["metadata"])
