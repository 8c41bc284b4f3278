"""Products and prices."""

from decimal import Decimal

from apps.billing.sandbox.errors import ApiError, invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.money import decimal_text
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import Equal, Extra, listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

INTERVALS = ("day", "week", "month", "year")
PRODUCT_TEXTS = ("description", "name", "statement_descriptor", "unit_label", "url", "tax_code")


@route("POST", "/v1/products")
def product_create(request: Request) -> Obj:
    return product_add(request.tx, request.params)


def product_add(tx: Session, params: Params) -> Obj:
    ident = params.text("id") or new_id("product", letters=14)
    if tx.maybe(ident):
        raise ApiError("Product already exists.", code="resource_already_exists", param="id")
    params.required("name")
    now = int(tx.real_now)
    product = {
        "id": ident,
        "object": "product",
        "active": True,
        "created": now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "unit_label": None,
        "updated": now,
        "url": None,
    }
    _product_fill(product, params)
    tx.add(product)
    emit(tx, "product.created", product)
    if params.given("default_price_data"):
        price = price_add(tx, params.child("default_price_data"), product=ident)
        with updating(tx, product, "product.updated"):
            product["default_price"] = price["id"]
    return product


@route("GET", "/v1/products")
def product_list(request: Request) -> Obj:
    params = request.params
    extra = _among("id", params.texts("ids"))
    equal: Equal = {"active": int(params.boolean("active"))} if params.given("active") else {}
    return listing(request.tx, params, "product", url="/v1/products", extra=extra, equal=equal)


@route("GET", "/v1/products/{id}")
def product_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "product")


@route("POST", "/v1/products/{id}")
def product_update(request: Request) -> Obj:
    tx, product = request.tx, request.tx.get(request.args["id"], "product")
    with updating(tx, product, "product.updated"):
        _product_fill(product, request.params)
        if request.params.has("default_price"):
            product["default_price"] = request.params.text("default_price")
        product["updated"] = int(tx.real_now)
    return product


@route("DELETE", "/v1/products/{id}")
def product_delete(request: Request) -> Obj:
    tx, product = request.tx, request.tx.get(request.args["id"], "product")
    if tx.find("price", product=product["id"]):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    emit(tx, "product.deleted", product)
    tx.remove(product["id"])
    return {"id": product["id"], "object": "product", "deleted": True}


@route("GET", "/v1/products/{id}/features")
def product_features(request: Request) -> Obj:
    """Entitlements are ours, not Stripe's: the list is always empty."""
    request.tx.get(request.args["id"], "product")
    request.params.ignore("limit", "starting_after", "ending_before")
    return {"object": "list", "url": request.path, "has_more": False, "data": []}


@route("POST", "/v1/prices")
def price_create(request: Request) -> Obj:
    params = request.params
    if params.given("product_data"):
        return price_add(request.tx, params, product=product_add(request.tx, params.child("product_data"))["id"])
    return price_add(request.tx, params, product=params.required("product"))


def price_add(tx: Session, params: Params, *, product: str) -> Obj:
    tx.get(product, "product", param="product")
    params.ignore("tax_behavior", "transfer_lookup_key")
    currency = params.required("currency").lower()
    params.choice("billing_scheme", ("per_unit",), "per_unit")
    whole, decimal = _unit(params)
    recurring = _recurring(tx, params) if params.given("recurring") else None
    price = {
        "id": new_id("price"),
        "object": "price",
        "active": params.boolean("active", default=True),
        "billing_scheme": "per_unit",
        "created": int(tx.real_now),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": params.metadata(),
        "nickname": params.text("nickname"),
        "product": product,
        "recurring": recurring,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": whole,
        "unit_amount_decimal": decimal,
    }
    tx.add(price)
    _lookup_key_set(tx, price, params)
    tx.save(price)
    emit(tx, "price.created", price)
    return price


@route("GET", "/v1/prices")
def price_list(request: Request) -> Obj:
    params = request.params
    equal = params.equal("product", "currency", "type")
    if params.given("active"):
        equal["active"] = int(params.boolean("active"))
    recurring = params.child("recurring")
    for name in ("interval", "meter", "usage_type"):
        if recurring.given(name):
            equal[f"recurring__{name}"] = recurring.text(name)
    extra = _among("lookup_key", params.texts("lookup_keys"))
    return listing(request.tx, params, "price", url="/v1/prices", extra=extra, equal=equal)


@route("GET", "/v1/prices/{id}")
def price_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "price")


@route("POST", "/v1/prices/{id}")
def price_update(request: Request) -> Obj:
    """What a price costs never changes."""
    tx, params = request.tx, request.params
    params.ignore("tax_behavior", "transfer_lookup_key")
    price = tx.get(request.args["id"], "price")
    with updating(tx, price, "price.updated"):
        if params.has("active"):
            price["active"] = params.boolean("active")
        if params.has("nickname"):
            price["nickname"] = params.text("nickname")
        _lookup_key_set(tx, price, params)
        price["metadata"] = params.metadata(price["metadata"])
    return price


def _product_fill(product: Obj, params: Params) -> None:
    params.ignore("package_dimensions", "shippable")
    for name in PRODUCT_TEXTS:
        if params.has(name):
            product[name] = params.text(name)
    if params.has("active"):
        product["active"] = params.boolean("active")
    if params.has("images"):
        product["images"] = params.texts("images")
    if params.has("marketing_features"):
        product["marketing_features"] = [
            {"name": one.required("name")} for one in params.children("marketing_features")
        ]
    product["metadata"] = params.metadata(product["metadata"])


def _unit(params: Params) -> tuple[int | None, str]:
    """unit_amount in whole cents, or None when it is none, and unit_amount_decimal."""
    if params.given("unit_amount") == params.given("unit_amount_decimal"):
        raise invalid("Pass exactly one of unit_amount and unit_amount_decimal.", param="unit_amount")
    if params.given("unit_amount"):
        whole = params.integer("unit_amount", least=0, most=99_999_999)
        return whole, str(whole)
    value = params.decimal("unit_amount_decimal")
    assert value is not None
    if value < 0:
        raise invalid("Invalid non-negative decimal.", param="unit_amount_decimal")
    return int(value) if value == int(value) else None, decimal_text(Decimal(value))


def _recurring(tx: Session, params: Params) -> Obj:
    child = params.child("recurring")
    usage = child.choice("usage_type", ("licensed", "metered"), "licensed")
    meter = child.text("meter")
    if (usage == "metered") != bool(meter):
        raise invalid("A metered price needs a meter, and only a metered price has one.", param="recurring[meter]")
    if meter and tx.get(meter, "billing.meter", param="recurring[meter]")["status"] != "active":
        raise invalid("The meter is inactive.", param="recurring[meter]")
    return {
        "interval": child.choice("interval", INTERVALS, child.required("interval")),
        "interval_count": child.integer("interval_count", 1, least=1, most=36),
        "meter": meter,
        "usage_type": usage,
    }


def _lookup_key_set(tx: Session, price: Obj, params: Params) -> None:
    """A lookup key stands on one price; it moves when `transfer_lookup_key` says so."""
    if not params.has("lookup_key"):
        return
    key = params.text("lookup_key")
    for other in tx.find("price", lookup_key=key) if key else []:
        if other["id"] == price["id"]:
            continue
        if params.raw("transfer_lookup_key") != "true":
            raise invalid(f"A price (`{other['id']}`) already uses that lookup key.", param="lookup_key")
        with updating(tx, other, "price.updated"):
            other["lookup_key"] = None
    price["lookup_key"] = key


def _among(name: str, values: list[str]) -> Extra:
    marks = ",".join("?" * len(values))
    return [(f"json_extract(data, '$.{name}') IN ({marks})", list(values))] if values else []
