"""Subscriptions: made, read, listed. Changes are in `changes`, renewals in `cycle`, ends in `canceling`.

They behave as in Stripe's flexible billing mode: fees in advance, usage in arrears, usage of a price that goes away is
invoiced with the old price, and a fee is credited from what was really debited.
"""

from apps.billing.sandbox.canceling import cancel_at_set
from apps.billing.sandbox.clock import now_of, timer_at
from apps.billing.sandbox.collect import finalize_and_collect, open_error, paid
from apps.billing.sandbox.coupons import discounts_set
from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.invoicing import draft_done, finalize, invoice_add, pending_take
from apps.billing.sandbox.lines import invoiceitem_add, line_licensed, metered, product_name
from apps.billing.sandbox.methods import method_of
from apps.billing.sandbox.money import amount
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.payments import SUCCEEDED
from apps.billing.sandbox.periods import DAY_S, period_at, period_before
from apps.billing.sandbox.render import Extra, listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

EXPIRES_S = 23 * 3_600
TRIAL_WARNING_S = 3 * DAY_S
MOST_ITEMS = 20
STATUSES = (
    "incomplete", "incomplete_expired", "trialing", "active", "past_due", "canceled", "unpaid", "paused",
)  # fmt: skip
BEHAVIOURS = ("allow_incomplete", "default_incomplete", "error_if_incomplete")
PRORATIONS = ("create_prorations", "always_invoice", "none")
IGNORED = ("off_session", "payment_settings", "automatic_tax", "invoice_settings", "billing_mode", "currency")
UNUSED = (
    "application", "application_fee_percent", "billing_cycle_anchor_config", "billing_thresholds", "cancel_at",
    "canceled_at", "customer_account", "days_until_due", "default_payment_method", "default_source", "description",
    "ended_at", "latest_invoice", "next_pending_invoice_item_invoice", "on_behalf_of", "pause_collection",
    "pending_invoice_item_interval", "pending_setup_intent", "pending_update", "schedule", "transfer_data",
    "trial_end", "trial_start",
)  # fmt: skip


@route("POST", "/v1/subscriptions")
def subscription_create(request: Request) -> Obj:
    customer = alive(request.tx, request.params.required("customer"), param="customer")
    return subscription_add(request.tx, request.params, customer)


@route("GET", "/v1/subscriptions")
def subscription_list(request: Request) -> Obj:
    """Without a status, those that have not ended."""
    params = request.params
    equal = params.equal("customer", "test_clock")
    status, price = params.text("status"), params.text("price")
    extra: Extra = []
    field = "json_extract(data, '$.status')"
    if status is None:
        extra.append((f"{field} NOT IN ('canceled', 'incomplete_expired')", []))
    elif status == "ended":
        extra.append((f"{field} IN ('canceled', 'incomplete_expired')", []))
    elif status != "all":
        extra.append((f"{field} = ?", [status]))
    if price:
        has = "SELECT subscription FROM object WHERE kind = 'subscription_item' AND json_extract(data, '$.price') = ?"
        extra.append((f"id IN ({has})", [price]))
    return listing(request.tx, params, "subscription", url="/v1/subscriptions", extra=extra, equal=equal)


@route("GET", "/v1/subscriptions/{id}")
def subscription_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "subscription")


def subscription_add(tx: Session, params: Params, customer: Obj) -> Obj:
    """Makes it with its items and its first invoice, which is final at once. Raises ApiError."""
    params.ignore(*IGNORED)
    now = now_of(tx, customer)
    behaviour = params.choice("payment_behavior", BEHAVIOURS, "allow_incomplete")
    prorated = params.choice("proration_behavior", PRORATIONS, "create_prorations") != "none"
    subscription = _blank(customer, now)
    tx.add(subscription)
    subscription_fill(tx, subscription, params, customer)
    prices = _items_add(tx, subscription, params.children("items"), now)
    recurring = prices[0]["recurring"]
    subscription["currency"] = prices[0]["currency"]
    start, end = _first_period(subscription, params, recurring, now)
    for item in items_of(tx, subscription):
        period_set(tx, item, start, end)
    extras_add(tx, customer, subscription, params.children("add_invoice_items"))
    cancel_at_set(tx, subscription, params, end)
    tx.save(subscription)
    subscription["status"] = "trialing" if subscription["trial_end"] else "incomplete"
    timers_set(tx, subscription, end)
    tx.save(subscription)
    emit(tx, "customer.subscription.created", subscription)
    whole_s = None
    if subscription["billing_cycle_anchor"] > now and not subscription["trial_end"]:
        whole_s = end - period_before(
            anchor=end, interval=recurring["interval"], count=recurring["interval_count"]
        )  # fmt: skip
    _first_invoice(tx, subscription, customer, whole_s=whole_s if prorated else 0 if whole_s else None,
                   behaviour=behaviour)  # fmt: skip
    return subscription


def subscription_fill(tx: Session, subscription: Obj, params: Params, customer: Obj) -> None:
    """What may be said at creation and later. The caller saves."""
    if params.has("default_payment_method"):
        ident = params.text("default_payment_method")
        method = method_of(tx, ident, customer, param="default_payment_method") if ident else None
        subscription["default_payment_method"] = method["id"] if method else None
    if params.has("description"):
        subscription["description"] = params.text("description")
    subscription["collection_method"] = params.choice(
        "collection_method", ("charge_automatically", "send_invoice"), subscription["collection_method"]
    )
    if params.has("days_until_due"):
        subscription["days_until_due"] = params.integer("days_until_due", least=0)
    trial_settings = params.child("trial_settings").child("end_behavior")
    if trial_settings.given("missing_payment_method"):
        behaviour = trial_settings.choice("missing_payment_method", ("cancel", "create_invoice", "pause"), "pause")
        subscription["trial_settings"] = {"end_behavior": {"missing_payment_method": behaviour}}
    discounts_set(tx, subscription, params)
    subscription["metadata"] = params.metadata(subscription["metadata"])


def item_add(tx: Session, subscription: Obj, params: Params, now: int) -> Obj:
    price = tx.get(params.required("price"), "price", param=params.name("price"))
    price_verify(price, params)
    item = {
        "id": new_id("subscription_item", letters=14),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": now,
        "current_period_end": now,
        "current_period_start": now,
        "discounts": [],
        "metadata": params.metadata(),
        "price": price["id"],
        "quantity": quantity_read(price, params, 1),
        "subscription": subscription["id"],
        "tax_rates": [],
        "_customer": subscription["customer"],
        "_usage_from": now,
        "_debits": [],
    }
    return tx.add(item)


def price_verify(price: Obj, params: Params) -> None:
    if not price["recurring"]:
        raise invalid("The price specified is set to `type=one_time` but this field only accepts prices with "
                      "`type=recurring`.", param=params.name("price"))  # fmt: skip
    if not price["active"]:
        raise invalid(f"The price specified is inactive. This field only accepts active prices: {price['id']}.",
                      param=params.name("price"))  # fmt: skip


def quantity_read(price: Obj, params: Params, default: int) -> int:
    if metered(price):
        if params.given("quantity"):
            raise invalid("You cannot set the quantity for metered plans.", param=params.name("quantity"))
        return 1
    return params.integer("quantity", default, least=0, most=999_999)


def items_of(tx: Session, subscription: Obj) -> list[Obj]:
    return tx.find("subscription_item", subscription=subscription["id"])


def period_of(tx: Session, subscription: Obj) -> tuple[int, int]:
    """All items of a subscription share their period here."""
    item = items_of(tx, subscription)[0]
    return item["current_period_start"], item["current_period_end"]


def period_set(tx: Session, item: Obj, start: int, end: int) -> None:
    """Usage from its start on is still to be invoiced; what was debited before is spent."""
    item |= {"current_period_start": start, "current_period_end": end, "_usage_from": start, "_debits": []}
    tx.save(item)


def timers_set(tx: Session, subscription: Obj, end: int) -> None:
    timer_at(tx, subscription, "cycle", end)
    trial_end = subscription["trial_end"]
    warn = trial_end - TRIAL_WARNING_S if trial_end and trial_end > now_of(tx, subscription) else None
    timer_at(tx, subscription, "trial_warning", warn)


def _blank(customer: Obj, now: int) -> Obj:
    return dict.fromkeys(UNUSED) | {
        "id": new_id("subscription"),
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": now,
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}, "updated_at": now},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": "usd",
        "customer": customer["id"],
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": None, "custom_fields": None, "description": None, "footer": None,
            "issuer": {"type": "self"},
        },
        "livemode": False,
        "metadata": {},
        "payment_settings": {
            "payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off",
        },
        "start_date": now,
        "status": "incomplete",
        "test_clock": customer["test_clock"],
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }  # fmt: skip


def _items_add(tx: Session, subscription: Obj, items: list[Params], now: int) -> list[Obj]:
    if not 1 <= len(items) <= MOST_ITEMS:
        raise invalid(f"A subscription has 1 to {MOST_ITEMS} items.", param="items", code="parameter_missing")
    prices = [tx.get(item_add(tx, subscription, one, now)["price"], "price") for one in items]
    return prices_verify(prices)


def prices_verify(prices: list[Obj]) -> list[Obj]:
    """Raises ApiError where prices cannot be on one subscription."""
    if len({price["id"] for price in prices}) < len(prices):
        raise invalid("Each price can be on a subscription once.", param="items")
    if len({price["currency"] for price in prices}) > 1:
        raise invalid("All prices on a subscription must have the same currency.", param="items")
    if len({(price["recurring"]["interval"], price["recurring"]["interval_count"]) for price in prices}) > 1:
        raise invalid("All prices on a subscription must have the same billing interval here.", param="items")
    return prices


def _first_period(subscription: Obj, params: Params, recurring: Obj, now: int) -> tuple[int, int]:
    trial_end = trial_end_read(params, now)
    if trial_end:
        subscription |= {"trial_start": now, "trial_end": trial_end, "billing_cycle_anchor": trial_end}
        return now, trial_end
    anchor = params.integer("billing_cycle_anchor", now)
    interval, count = recurring["interval"], recurring["interval_count"]
    _, latest = period_at(anchor=now, interval=interval, count=count, at=now)
    if anchor < now or anchor > latest:
        raise invalid("billing_cycle_anchor is in the future, at most one period away.", param="billing_cycle_anchor")
    subscription["billing_cycle_anchor"] = anchor
    return now, anchor if anchor > now else latest


def trial_end_read(params: Params, now: int) -> int | None:
    """None where there is no trial, or it ends now."""
    if params.given("trial_period_days"):
        return now + params.integer("trial_period_days", least=1, most=730) * DAY_S
    if not params.given("trial_end") or params.text("trial_end") == "now":
        return None
    at = params.integer("trial_end")
    if at <= now:
        raise invalid("trial_end must be in the future, or `now`.", param="trial_end")
    return at


def extras_add(tx: Session, customer: Obj, subscription: Obj, extras: list[Params]) -> None:
    """`add_invoice_items`: a price that there is, or one that is said, which may be negative. Raises ApiError."""
    now = now_of(tx, customer)
    for one in extras:
        quantity = one.integer("quantity", 1, least=1)
        if one.given("price_data"):
            data = one.child("price_data")
            product = tx.get(data.required("product"), "product", param=data.name("product"))
            price, text, currency = None, product["name"], data.required("currency")
            cents = data.integer("unit_amount") * quantity
        else:
            price = tx.get(one.required("price"), "price", param=one.name("price"))
            text, currency = product_name(tx, price), price["currency"]
            cents = amount(price["unit_amount_decimal"], quantity)
        period = one.child("period")
        invoiceitem_add(
            tx, customer, cents=cents, currency=currency, text=text, start=_edge(period.child("start"), now),
            end=_edge(period.child("end"), now), subscription=subscription["id"], price=price, quantity=quantity,
            metadata=one.metadata(),
        )  # fmt: skip


def _edge(said: Params, now: int) -> int:
    return said.integer("timestamp", now) if said.choice("type", ("timestamp", "now"), "now") == "timestamp" else now


def _first_invoice(tx: Session, subscription: Obj, customer: Obj, *, whole_s: int | None, behaviour: str) -> None:
    """`whole_s`: how long a full period is, where the first is a part; 0 where that part is free."""
    now = now_of(tx, customer)
    invoice = invoice_add(
        tx, customer, reason="subscription_create", start=now, end=now, subscription=subscription,
        currency=subscription["currency"],
    )  # fmt: skip
    for item in items_of(tx, subscription):
        if not metered(tx.get(item["price"], "price")) and whole_s != 0:
            line_licensed(
                tx, invoice, item, start=now, end=item["current_period_end"], whole_s=whole_s,
                trial=bool(subscription["trial_end"]),
            )  # fmt: skip
    pending_take(tx, invoice)
    if not tx.find("line_item", invoice=invoice["id"]):
        tx.remove(invoice["id"])
        if subscription["status"] == "incomplete":
            with updating(tx, subscription, "customer.subscription.updated"):
                subscription["status"] = "active"
        return
    draft_done(tx, invoice, finalize_at=None)
    if behaviour == "default_incomplete":
        finalize(tx, invoice)
        if invoice["amount_due"] == 0:
            paid(tx, invoice, cents=0)
            return
        timer_at(tx, subscription, "expire", now + EXPIRES_S)
        return
    outcome = finalize_and_collect(tx, invoice)
    if outcome == SUCCEEDED:
        return
    if subscription["collection_method"] == "send_invoice":
        with updating(tx, subscription, "customer.subscription.updated"):
            subscription["status"] = "active"
        return
    error = open_error(tx, invoice, outcome)
    if behaviour == "error_if_incomplete" and error:
        error.keep = False
        raise error
    timer_at(tx, subscription, "expire", now + EXPIRES_S)
