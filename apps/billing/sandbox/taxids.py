"""Tax ids of customers."""

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.errors import missing
from apps.billing.sandbox.events import emit
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

TYPES = {"eu_vat": "EU VAT", "us_ein": "US EIN", "gb_vat": "UK VAT", "ch_vat": "Swiss VAT", "in_gst": "Indian GST"}


@route("GET", "/v1/tax_ids")
def tax_ids_of_owner(request: Request) -> Obj:
    """A customer's; the account has none."""
    owner = request.params.child("owner")
    owner.choice("type", ("self", "customer", "account", "application"), "self")
    owner.ignore("account")
    customer = owner.text("customer") or "nobody"
    return listing(request.tx, request.params, "tax_id", url="/v1/tax_ids", equal={"customer": customer})


@route("GET", "/v1/tax_ids/{tax_id}")
def tax_id_of_owner(request: Request) -> Obj:
    return request.tx.get(request.args["tax_id"], "tax_id")


@route("POST", "/v1/customers/{id}/tax_ids")
def tax_id_create(request: Request) -> Obj:
    customer = alive(request.tx, request.args["id"])
    return tax_id_add(
        request.tx, customer, kind=request.params.required("type"), value=request.params.required("value")
    )


@route("GET", "/v1/customers/{id}/tax_ids")
def tax_id_list(request: Request) -> Obj:
    customer = request.tx.get(request.args["id"], "customer")
    url = f"/v1/customers/{customer['id']}/tax_ids"
    return listing(request.tx, request.params, "tax_id", url=url, equal={"customer": customer["id"]})


@route("GET", "/v1/customers/{id}/tax_ids/{tax_id}")
def tax_id_retrieve(request: Request) -> Obj:
    return _tax_id(request)


@route("DELETE", "/v1/customers/{id}/tax_ids/{tax_id}")
def tax_id_delete(request: Request) -> Obj:
    tax_id = _tax_id(request)
    _remove(request.tx, tax_id)
    return {"id": tax_id["id"], "object": "tax_id", "deleted": True}


def tax_id_add(tx: Session, customer: Obj, *, kind: str, value: str) -> Obj:
    made = {
        "id": new_id("tax_id"),
        "object": "tax_id",
        "country": kind.partition("_")[0].upper() if kind != "eu_vat" else value[:2],
        "created": now_of(tx, customer),
        "customer": customer["id"],
        "customer_account": None,
        "livemode": False,
        "owner": {"customer": customer["id"], "type": "customer"},
        "type": kind,
        "value": value,
        "verification": {"status": "pending", "verified_address": None, "verified_name": None},
    }
    tx.add(made)
    emit(tx, "customer.tax_id.created", made)
    return made


def tax_id_only(tx: Session, customer: Obj, value: str) -> None:
    """As the portal's page has it: one VAT number, or none."""
    held = tx.find("tax_id", customer=customer["id"])
    if [one["value"] for one in held] == ([value] if value else []):
        return
    for one in held:
        _remove(tx, one)
    if value:
        tax_id_add(tx, customer, kind="eu_vat", value=value)


def _remove(tx: Session, tax_id: Obj) -> None:
    emit(tx, "customer.tax_id.deleted", tax_id)
    tx.remove(tax_id["id"])


def _tax_id(request: Request) -> Obj:
    found = request.tx.get(request.args["tax_id"], "tax_id")
    if found["customer"] != request.args["id"]:
        raise missing("tax_id", found["id"])
    return found
