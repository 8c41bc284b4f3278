"""Coupons, and discounts: a coupon on a subscription, an invoice or an invoice item, from when to when."""

from decimal import Decimal

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id, word
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.periods import months_later
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session


@route("POST", "/v1/coupons")
def coupon_create(request: Request) -> Obj:
    tx, params = request.tx, request.params
    ident = params.text("id") or word(8)
    if tx.maybe(ident):
        raise invalid("Coupon already exists.", param="id", code="resource_already_exists")
    percent, off = params.decimal("percent_off"), params.maybe_integer("amount_off", least=1)
    if (percent is None) == (off is None):
        raise invalid("You must pass exactly one of percent_off and amount_off.", param="percent_off")
    if percent is not None and not (0 < percent <= 100 and percent == round(percent, 2)):
        raise invalid("percent_off is above 0, at most 100, with two decimal places.", param="percent_off")
    duration = params.choice("duration", ("once", "repeating", "forever"), "once")
    months = params.maybe_integer("duration_in_months", least=1)
    if (duration == "repeating") != (months is not None):
        raise invalid("duration_in_months goes with duration=repeating.", param="duration_in_months")
    coupon = {
        "id": ident,
        "object": "coupon",
        "amount_off": off,
        "created": int(tx.real_now),
        "currency": params.required("currency").lower() if off else params.text("currency"),
        "duration": duration,
        "duration_in_months": months,
        "livemode": False,
        "max_redemptions": params.maybe_integer("max_redemptions", least=1),
        "metadata": params.metadata(),
        "name": params.text("name"),
        "percent_off": None if percent is None else float(percent),
        "redeem_by": params.maybe_integer("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    tx.add(coupon)
    emit(tx, "coupon.created", coupon)
    return coupon


@route("GET", "/v1/coupons")
def coupon_list(request: Request) -> Obj:
    return listing(request.tx, request.params, "coupon", url="/v1/coupons")


@route("GET", "/v1/coupons/{id}")
def coupon_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "coupon")


@route("POST", "/v1/coupons/{id}")
def coupon_update(request: Request) -> Obj:
    coupon = request.tx.get(request.args["id"], "coupon")
    with updating(request.tx, coupon, "coupon.updated"):
        if request.params.has("name"):
            coupon["name"] = request.params.text("name")
        coupon["metadata"] = request.params.metadata(coupon["metadata"])
    return coupon


@route("DELETE", "/v1/coupons/{id}")
def coupon_delete(request: Request) -> Obj:
    """Discounts made of it stay; the coupon cannot be used again."""
    coupon = request.tx.get(request.args["id"], "coupon")
    coupon["valid"] = False
    emit(request.tx, "coupon.deleted", coupon)
    request.tx.save(coupon)
    return {"id": coupon["id"], "object": "coupon", "deleted": True}


def discounts_set(tx: Session, owner: Obj, params: Params) -> None:
    """`discounts[0][coupon]=…` on a subscription, invoice or invoice item; an empty value removes all. Caller saves."""
    if not params.has("discounts"):
        return
    if not params.given("discounts"):
        params.text("discounts")
        for ident in owner["discounts"]:
            _removed(tx, tx.get(ident, "discount"))
        owner["discounts"] = []
        return
    kept = []
    for one in params.children("discounts"):
        held = one.text("discount")
        if held:
            kept.append(tx.get(held, "discount", param="discounts")["id"])
        else:
            kept.append(discount_add(tx, owner, one.required("coupon"))["id"])
    for ident in owner["discounts"]:
        if ident not in kept:
            _removed(tx, tx.get(ident, "discount"))
    owner["discounts"] = kept


def discount_add(tx: Session, owner: Obj, code: str) -> Obj:
    coupon = tx.get(code, "coupon", param="coupon")
    now = now_of(tx, owner)
    used_up = coupon["max_redemptions"] is not None and coupon["times_redeemed"] >= coupon["max_redemptions"]
    if not coupon["valid"] or used_up or (coupon["redeem_by"] or now) < now:
        raise invalid(f"Coupon expired: {code}", param="coupon", code="coupon_expired")
    coupon["times_redeemed"] += 1
    tx.save(coupon)
    months = coupon["duration_in_months"]
    discount = {
        "id": new_id("discount"),
        "object": "discount",
        "checkout_session": None,
        "customer": owner["customer"],
        "customer_account": None,
        "end": months_later(now, months) if months else None,
        "invoice": owner["id"] if owner["object"] == "invoice" else None,
        "invoice_item": owner["id"] if owner["object"] == "invoiceitem" else None,
        "promotion_code": None,
        "source": {"coupon": code, "type": "coupon"},
        "start": now,
        "subscription": owner["id"] if owner["object"] == "subscription" else None,
        "subscription_item": None,
        "_used": 0,
    }
    tx.add(discount)
    emit(tx, "customer.discount.created", discount)
    return discount


def discounts_of(tx: Session, owners: list[Obj], at: int) -> list[Obj]:
    """Discounts in force, those of the first owner that has any: an invoice's go before a subscription's."""
    for owner in owners:
        found = [tx.get(ident, "discount") for ident in owner["discounts"]]
        if found:
            return [one for one in found if _in_force(tx, one, at)]
    return []


def coupon_of(tx: Session, discount: Obj) -> Obj:
    return tx.get(discount["source"]["coupon"], "coupon")


def discount_use(tx: Session, discount: Obj) -> None:
    """A `once` coupon is used up by the first invoice that it is on."""
    discount["_used"] += 1
    tx.save(discount)


def percent_of(coupon: Obj) -> Decimal:
    return Decimal(str(coupon["percent_off"]))


def _in_force(tx: Session, discount: Obj, at: int) -> bool:
    coupon = coupon_of(tx, discount)
    if coupon["duration"] == "once" and discount["_used"]:
        return False
    return discount["end"] is None or at < discount["end"]


def _removed(tx: Session, discount: Obj) -> None:
    emit(tx, "customer.discount.deleted", discount)
