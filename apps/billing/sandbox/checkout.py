"""Checkout sessions over the API: what is to be bought, and where the hosted page is. `checkoutpages` shows it."""

from typing import Any

from apps.billing.sandbox.clock import now_of, timer_at
from apps.billing.sandbox.customers import alive, customer_add
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.intents import setup_intent_add
from apps.billing.sandbox.lines import product_name
from apps.billing.sandbox.money import amount
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import invoice_lines, listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session
from apps.billing.sandbox.subscriptions import subscription_add

OPEN_S = 24 * 3_600
OF_SUBSCRIPTION = (
    "trial_end", "trial_period_days", "metadata", "billing_cycle_anchor", "proration_behavior", "description",
    "default_tax_rates", "trial_settings", "billing_mode", "invoice_settings",
)  # fmt: skip
IGNORED = (
    "payment_method_types", "automatic_tax", "locale", "custom_text", "customer_update", "consent_collection",
    "phone_number_collection", "allow_promotion_codes", "submit_type", "saved_payment_method_options",
    "payment_method_options", "branding_settings", "adaptive_pricing", "after_expiration", "name_collection",
)  # fmt: skip
UNUSED = (
    "after_expiration", "allow_promotion_codes", "client_secret", "collected_information", "consent",
    "consent_collection", "currency_conversion", "customer_account", "customer_creation", "customer_details", "invoice",
    "invoice_creation", "locale", "payment_intent", "payment_link", "payment_method_configuration_details",
    "recovered_from", "setup_intent", "shipping_address_collection", "shipping_cost", "submit_type", "subscription",
    "total_details", "wallet_options", "amount_subtotal", "amount_total", "currency", "origin_context",
    "saved_payment_method_options", "discounts",
)  # fmt: skip


@route("POST", "/v1/checkout/sessions")
def session_create(request: Request) -> Obj:
    tx, params = request.tx, request.params
    params.ignore(*IGNORED)
    mode = params.choice("mode", ("subscription", "setup"), params.required("mode"))
    params.choice("ui_mode", ("hosted_page", "hosted"), "hosted_page")
    ident = params.text("customer")
    customer = alive(tx, ident, param="customer") if ident else None
    now = now_of(tx, customer) if customer else int(tx.real_now)
    expires_at = params.integer("expires_at", now + OPEN_S)
    if not now + 1_800 <= expires_at <= now + OPEN_S:
        raise invalid("expires_at is 30 minutes to 24 hours from now.", param="expires_at")
    session = _blank(params, mode, customer, now) | {"expires_at": expires_at, "metadata": params.metadata()}
    session["url"] = f"{tx.url}/checkout/{session['id']}"
    tx.add(session)
    if mode == "subscription":
        _subscription_read(tx, session, params)
    else:
        session["setup_intent"] = setup_intent_add(
            tx, customer, metadata=params.child("setup_intent_data").metadata()
        )["id"]  # fmt: skip
        session["currency"] = params.text("currency")
        session["payment_status"] = "no_payment_required"
    timer_at(tx, session, "session_expire", expires_at)
    tx.save(session)
    return session


@route("GET", "/v1/checkout/sessions")
def session_list(request: Request) -> Obj:
    equal = request.params.equal("customer", "subscription", "status", "payment_intent")
    return listing(request.tx, request.params, "checkout.session", url="/v1/checkout/sessions", equal=equal)


@route("GET", "/v1/checkout/sessions/{id}")
def session_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "checkout.session")


@route("GET", "/v1/checkout/sessions/{id}/line_items")
def session_line_items(request: Request) -> Obj:
    session = request.tx.get(request.args["id"], "checkout.session")
    return listing(
        request.tx, request.params, "item", url=request.path, oldest_first=True, equal={"_session": session["id"]}
    )


@route("POST", "/v1/checkout/sessions/{id}/expire")
def session_expire(request: Request) -> Obj:
    tx, session = request.tx, request.tx.get(request.args["id"], "checkout.session")
    if session["status"] != "open":
        raise invalid('Only Checkout Sessions with a status in ["open"] can be expired.')
    session |= {"status": "expired", "url": None}
    timer_at(tx, session, "session_expire", None)
    tx.save(session)
    emit(tx, "checkout.session.expired", session)
    return session


def bought(tx: Session, session: Obj, customer: Obj, method: Obj | None) -> Obj:
    """Makes the subscription that the session is about. Raises ApiError 402 when the card is declined."""
    wanted: dict[str, Any] = dict(session["_wanted"])
    if method:
        wanted["default_payment_method"] = method["id"]
    return subscription_add(tx, Params(wanted), customer)


def quote(tx: Session, session: Obj) -> Obj:
    """What is due today: the first invoice, made and taken back. `total`, `subtotal`, `lines`, `trial_end`."""
    with tx.discarded():
        session = tx.get(session["id"], "checkout.session")
        customer = tx.maybe(session["customer"], "customer") or customer_add(tx, Params({}))
        subscription = bought(tx, session, customer, None)
        invoice = tx.maybe(subscription["latest_invoice"], "invoice")
        lines = invoice_lines(tx, invoice["id"])["data"] if invoice else []
        return {
            "subtotal": invoice["subtotal"] if invoice else 0,
            "total": invoice["amount_due"] if invoice else 0,
            "currency": subscription["currency"],
            "lines": [{"text": line["description"], "amount": line["amount"]} for line in lines],
            "trial_end": subscription["trial_end"],
        }


def _blank(params: Params, mode: str, customer: Obj | None, now: int) -> Obj:
    collected = params.child("tax_id_collection")
    collected.ignore("required")
    params.required("success_url")
    return dict.fromkeys(UNUSED) | {
        "id": new_id("checkout.session", letters=58),
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.text("billing_address_collection"),
        "cancel_url": params.url("cancel_url"),
        "client_reference_id": params.text("client_reference_id"),
        "created": now,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None, "shipping_address": None, "submit": None, "terms_of_service_acceptance": None,
        },
        "customer": customer["id"] if customer else None,
        "customer_email": params.text("customer_email"),
        "excluded_payment_method_types": [],
        "livemode": False,
        "mode": mode,
        "payment_method_collection": params.choice("payment_method_collection", ("always", "if_required"), "always"),
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "success_url": params.url("success_url"),
        "tax_id_collection": {"enabled": collected.boolean("enabled"), "required": "never"},
        "ui_mode": "hosted_page",
        "_wanted": {},
        "_method": None,
    }  # fmt: skip


def _subscription_read(tx: Session, session: Obj, params: Params) -> None:
    """Raises ApiError here and not on the page for what cannot be bought."""
    items = params.raw("line_items") or []
    if not isinstance(items, list) or not items:
        raise invalid("Missing required param: line_items.", param="line_items", code="parameter_missing")
    data = params.child("subscription_data")
    session["_wanted"] = {"items": items} | {name: data.raw(name) for name in OF_SUBSCRIPTION if data.has(name)}
    if params.given("discounts"):
        session["_wanted"]["discounts"] = params.raw("discounts")
    for one in (Params(item, f"line_items[{index}]") for index, item in enumerate(items)):
        _item_add(tx, session, one)
        one.ignore("adjustable_quantity")
        one.unread_refuse()
    tx.save(session)
    due = quote(tx, session)
    session |= {
        "amount_subtotal": due["subtotal"],
        "amount_total": due["total"],
        "currency": due["currency"],
        "total_details": {
            "amount_discount": max(0, due["subtotal"] - due["total"]), "amount_shipping": 0, "amount_tax": 0,
        },
    }  # fmt: skip


def _item_add(tx: Session, session: Obj, params: Params) -> None:
    price = tx.get(params.required("price"), "price", param=params.name("price"))
    metered = bool(price["recurring"]) and price["recurring"]["usage_type"] == "metered"
    quantity = 0 if metered else params.integer("quantity", 1, least=1)
    cents = amount(price["unit_amount_decimal"], quantity)
    tx.add(
        {
            "id": new_id("item"),
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": cents,
            "amount_tax": 0,
            "amount_total": cents,
            "currency": price["currency"],
            "description": product_name(tx, price),
            "metadata": {},
            "price": price["id"],
            "quantity": None if metered else quantity,
            "_session": session["id"],
        }
    )
