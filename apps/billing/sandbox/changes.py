"""Changing a subscription: other prices or quantities, a new cycle, a trial's end; and what that costs, to the second.

Without a new cycle, the unused part of what was debited is credited and the rest of the period is debited at the new
price, both as pending invoice items: the next invoice has them, or one at once with `always_invoice`. With a new cycle
(`billing_cycle_anchor=now`, another interval, from free to paid, a trial that starts or ends) all unused fees are
credited and an invoice for the whole new period follows at once, with the usage so far. `proration_behavior=none`:
neither credit nor debit, and usage of a metered price that goes away is not invoiced.
"""

from dataclasses import dataclass

from apps.billing.sandbox.canceling import cancel_at_set, credit_unused, details_fill, not_ended, usage_lines
from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.collect import finalize_and_collect, open_error
from apps.billing.sandbox.coupons import coupon_of, discounts_of, percent_of
from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import updating
from apps.billing.sandbox.invoicing import draft_done, invoice_add, pending_take
from apps.billing.sandbox.lines import invoiceitem_add, line_licensed, metered, price_text, product_name
from apps.billing.sandbox.meters import usage_total
from apps.billing.sandbox.money import amount, share
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.payments import SUCCEEDED
from apps.billing.sandbox.periods import period_at
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session
from apps.billing.sandbox.subscriptions import (
    BEHAVIOURS,
    IGNORED,
    PRORATIONS,
    extras_add,
    item_add,
    items_of,
    period_of,
    period_set,
    price_verify,
    prices_verify,
    quantity_read,
    subscription_fill,
    timers_set,
    trial_end_read,
)


@dataclass(frozen=True)
class How:
    """`at`: from when prorations are computed."""

    prorate: bool
    at_once: bool
    at: int
    behaviour: str


@route("POST", "/v1/subscriptions/{id}")
def subscription_update(request: Request) -> Obj:
    subscription = request.tx.get(request.args["id"], "subscription")
    subscription_change(request.tx, subscription, request.params)
    return subscription


@route("POST", "/v1/subscriptions/{id}/resume")
def subscription_resume(request: Request) -> Obj:
    """A paused subscription starts a new cycle now."""
    tx, params = request.tx, request.params
    params.ignore("billing_cycle_anchor", "proration_behavior", "proration_date")
    subscription = tx.get(request.args["id"], "subscription")
    if subscription["status"] != "paused":
        raise invalid("Only paused subscriptions can be resumed.")
    customer = alive(tx, subscription["customer"])
    now = now_of(tx, subscription)
    how = How(prorate=False, at_once=False, at=now, behaviour="allow_incomplete")
    with updating(tx, subscription, "customer.subscription.resumed"):
        subscription["status"] = "active"
        for item in items_of(tx, subscription):
            period_set(tx, item, now, now)
    _new_cycle(tx, subscription, customer, how, was_trial=False)
    return subscription


def subscription_change(tx: Session, subscription: Obj, params: Params) -> None:
    """Raises ApiError."""
    if subscription["status"] in ("canceled", "incomplete_expired"):
        details_fill(subscription, params)
        subscription["metadata"] = params.metadata(subscription["metadata"])
        params.unread_refuse()
        tx.save(subscription)
        return
    not_ended(subscription)
    params.ignore(*IGNORED)
    customer = alive(tx, subscription["customer"])
    how = _how(tx, subscription, params)
    old_prices = {item["id"]: tx.get(item["price"], "price") for item in items_of(tx, subscription)}
    before = _level(tx, subscription)
    was_trial = subscription["status"] == "trialing"
    anchor = (
        params.choice("billing_cycle_anchor", ("now", "unchanged"), "") if params.given("billing_cycle_anchor") else ""
    )
    trial_said = params.given("trial_end")
    with updating(tx, subscription, "customer.subscription.updated"):
        _, end = period_of(tx, subscription)
        subscription_fill(tx, subscription, params, customer)
        extras_add(tx, customer, subscription, params.children("add_invoice_items"))
        cancel_at_set(tx, subscription, params, end)
        changed = params.children("items")
        new = _new_cycle_wanted(tx, subscription, changed, old_prices, anchor=anchor, before=before) or trial_said
        if changed and not was_trial and not new:
            _items_prorate(tx, subscription, customer, changed, how)
        elif changed:
            _items_change(tx, subscription, customer, changed, how, quiet=was_trial)
        prices_verify([tx.get(item["price"], "price") for item in items_of(tx, subscription)])
        if trial_said:
            _trial_set(tx, subscription, customer, params, how, was_trial=was_trial)
    if new and subscription["status"] != "trialing":
        _new_cycle(tx, subscription, customer, how, was_trial=was_trial)
    elif how.at_once:
        _invoice_now(tx, subscription, customer, how)


def _how(tx: Session, subscription: Obj, params: Params) -> How:
    start, end = period_of(tx, subscription)
    proration = params.choice("proration_behavior", PRORATIONS, "create_prorations")
    at = params.integer("proration_date", now_of(tx, subscription))
    if not start <= at <= end:
        raise invalid("The proration_date must be within the current period.", param="proration_date")
    return How(
        prorate=proration != "none",
        at_once=proration == "always_invoice",
        at=at,
        behaviour=params.choice("payment_behavior", BEHAVIOURS, "allow_incomplete"),
    )


def _new_cycle_wanted(
    tx: Session, subscription: Obj, changed: list[Params], old: dict[str, Obj], *, anchor: str, before: int
) -> bool:
    """Said so, or another interval, or from free to paid."""
    if anchor:
        return anchor == "now"
    interval = next(iter(old.values()))["recurring"]["interval"]
    new_prices = [tx.get(one.required("price"), "price", param="price") for one in changed if one.given("price")]
    if any(price["recurring"] and price["recurring"]["interval"] != interval for price in new_prices):
        return True
    paid = any(price["recurring"] and not metered(price) and price["unit_amount"] != 0 for price in new_prices)
    return before == 0 and paid and subscription["status"] != "trialing"


def _items_prorate(tx: Session, subscription: Obj, customer: Obj, changed: list[Params], how: How) -> None:
    """Changes items inside their period: credits for what was, debits for what is from now on."""
    touched = _items_change(tx, subscription, customer, changed, how, quiet=False)
    for item in touched:
        price = tx.get(item["price"], "price")
        if how.prorate and not metered(price):
            _debit_rest(tx, subscription, customer, item, price, how)


def _items_change(
    tx: Session, subscription: Obj, customer: Obj, changed: list[Params], how: How, *, quiet: bool
) -> list[Obj]:
    """Applies the changes and settles what they end; returns the items that have a new price or quantity.

    `quiet`: in a trial, where there is nothing to settle.
    """
    touched = []
    start, end = period_of(tx, subscription)
    for one in changed:
        ident = one.text("id")
        one.ignore("clear_usage")
        if ident is None:
            item = item_add(tx, subscription, one, now_of(tx, subscription))
            period_set(tx, item, start, end)
            item["_usage_from"] = how.at
            tx.save(item)
            touched.append(item)
            continue
        item = tx.get(ident, "subscription_item", param=one.name("id"))
        if item["subscription"] != subscription["id"]:
            raise invalid(f"The item {ident} is not on this subscription.", param=one.name("id"))
        if one.boolean("deleted"):
            _settle(tx, customer, item, how, quiet=quiet)
            tx.remove(ident)
        elif _item_change(tx, customer, item, one, how, quiet=quiet):
            touched.append(item)
    if not items_of(tx, subscription):
        raise invalid("A subscription must have at least one active plan.", param="items")
    return touched


def _item_change(tx: Session, customer: Obj, item: Obj, params: Params, how: How, *, quiet: bool) -> bool:
    price = tx.get(params.text("price") or item["price"], "price", param=params.name("price"))
    if price["id"] != item["price"]:
        price_verify(price, params)
    quantity = quantity_read(price, params, item["quantity"])
    item["metadata"] = params.metadata(item["metadata"])
    tx.save(item)
    if (price["id"], quantity) == (item["price"], item["quantity"]):
        return False
    _settle(tx, customer, item, how, quiet=quiet)
    item |= {"price": price["id"], "quantity": quantity}
    tx.save(item)
    return True


def _settle(tx: Session, customer: Obj, item: Obj, how: How, *, quiet: bool) -> None:
    """What an item's price leaves behind: the credit for its unused fee, or the usage that it has to pay for."""
    price = tx.get(item["price"], "price")
    if metered(price):
        if how.prorate and not quiet:
            _usage_settle(tx, customer, item, price, how.at)
        item["_usage_from"] = how.at
        tx.save(item)
    elif how.prorate and not quiet:
        credit_unused(tx, customer, item, at=how.at)


def _usage_settle(tx: Session, customer: Obj, item: Obj, price: Obj, at: int) -> None:
    start = item["_usage_from"]
    quantity = max(
        0, usage_total(tx, meter=price["recurring"]["meter"], customer=customer["id"], start=start, end=at)
    )  # fmt: skip
    if quantity:
        text = f"{quantity} × {product_name(tx, price)} (at {price_text(price)})"
        invoiceitem_add(
            tx, customer, cents=amount(price["unit_amount_decimal"], quantity), currency=price["currency"], text=text,
            start=start, end=at, subscription=item["subscription"], item=item, price=price, quantity=quantity,
        )  # fmt: skip


def _debit_rest(tx: Session, subscription: Obj, customer: Obj, item: Obj, price: Obj, how: How) -> None:
    """The rest of the period at the new price, less the percents that are off; not discounted again."""
    start, end = item["current_period_start"], item["current_period_end"]
    full = amount(price["unit_amount_decimal"], item["quantity"])
    for discount in discounts_of(tx, [subscription], how.at):
        coupon = coupon_of(tx, discount)
        if coupon["percent_off"] is not None:
            full -= share(full, int(percent_of(coupon) * 100), 10_000)
    pending = invoiceitem_add(
        tx, customer, cents=share(full, end - how.at, end - start), currency=price["currency"],
        text=f"Remaining time on {item['quantity']} × {product_name(tx, price)}", start=how.at, end=end,
        subscription=subscription["id"], item=item, price=price, quantity=item["quantity"], proration=True,
        discountable=False,
    )  # fmt: skip
    item["_debits"] = [{"pending": pending["id"], "start": how.at, "end": end}]
    tx.save(item)


def _trial_set(tx: Session, subscription: Obj, customer: Obj, params: Params, how: How, *, was_trial: bool) -> None:
    """A trial that begins, moves, or (`now`) ends."""
    now = now_of(tx, subscription)
    trial_end = trial_end_read(params, now)
    if trial_end is None:
        subscription["trial_end"] = min(subscription["trial_end"] or now, now)
        if was_trial:
            subscription["status"] = "active"
        return
    if not was_trial and how.prorate:
        for item in items_of(tx, subscription):
            credit_unused(tx, customer, item, at=how.at)
    start = subscription["trial_start"] if was_trial else now
    subscription |= {
        "status": "trialing", "trial_start": start, "trial_end": trial_end, "billing_cycle_anchor": trial_end,
    }  # fmt: skip
    for item in items_of(tx, subscription):
        period_set(tx, item, start, trial_end)
    timers_set(tx, subscription, trial_end)


def _new_cycle(tx: Session, subscription: Obj, customer: Obj, how: How, *, was_trial: bool) -> None:
    now = now_of(tx, subscription)
    items = items_of(tx, subscription)
    if how.prorate and not was_trial:
        for item in items:
            credit_unused(tx, customer, item, at=how.at)
    invoice = _invoice(tx, subscription, customer, now)
    if not was_trial:
        usage_lines(tx, invoice, subscription, now)
    recurring = tx.get(items[0]["price"], "price")["recurring"]
    _, end = period_at(anchor=now, interval=recurring["interval"], count=recurring["interval_count"], at=now)
    with updating(tx, subscription, "customer.subscription.updated"):
        subscription["billing_cycle_anchor"] = now
        if subscription["cancel_at_period_end"]:
            subscription["cancel_at"] = end
        for item in items:
            period_set(tx, item, now, end)
    for item in items:
        if not metered(tx.get(item["price"], "price")):
            line_licensed(tx, invoice, item, start=now, end=end)
    timers_set(tx, subscription, end)
    pending_take(tx, invoice)
    _collect(tx, invoice, how)


def _invoice_now(tx: Session, subscription: Obj, customer: Obj, how: How) -> None:
    invoice = _invoice(tx, subscription, customer, now_of(tx, subscription))
    pending_take(tx, invoice, of_subscription_only=True)
    _collect(tx, invoice, how)


def _invoice(tx: Session, subscription: Obj, customer: Obj, now: int) -> Obj:
    return invoice_add(
        tx, customer, reason="subscription_update", start=period_of(tx, subscription)[0], end=now,
        subscription=subscription, currency=subscription["currency"],
    )  # fmt: skip


def _collect(tx: Session, invoice: Obj, how: How) -> None:
    """Final and charged at once. Raises ApiError 402 where the caller wants all or nothing."""
    if not tx.find("line_item", invoice=invoice["id"]):
        tx.remove(invoice["id"])
        return
    draft_done(tx, invoice, finalize_at=None)
    outcome = finalize_and_collect(tx, invoice)
    error = open_error(tx, invoice, outcome) if outcome not in (SUCCEEDED, "open") else None
    if error and how.behaviour == "error_if_incomplete":
        error.keep = False
        raise error


def _level(tx: Session, subscription: Obj) -> int:
    """Cents of a full period's fees."""
    items = [(item, tx.get(item["price"], "price")) for item in items_of(tx, subscription)]
    return sum(amount(price["unit_amount_decimal"], item["quantity"]) for item, price in items if not metered(price))
