"""How subscriptions end: at once, at the end of their period, or at a time."""

from apps.billing.sandbox.clock import now_of, timer_at
from apps.billing.sandbox.collect import collecting_stop, finalize_and_collect
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit
from apps.billing.sandbox.invoicing import draft_done, invoice_add, pending_take
from apps.billing.sandbox.lines import invoiceitem_add, line_metered, metered, product_name
from apps.billing.sandbox.money import share
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

ENDED = ("canceled", "incomplete_expired")
FEEDBACK = (
    "customer_service", "low_quality", "missing_features", "other", "switched_service", "too_complex",
    "too_expensive", "unused",
)  # fmt: skip


@route("DELETE", "/v1/subscriptions/{id}")
def subscription_cancel(request: Request) -> Obj:
    """`invoice_now`: usage and pending items are invoiced; `prorate`: the unused part of the fee is credited."""
    tx, params = request.tx, request.params
    subscription = tx.get(request.args["id"], "subscription")
    not_ended(subscription)
    details_fill(subscription, params)
    subscription_end(
        tx, subscription, reason="cancellation_requested", invoice_now=params.boolean("invoice_now"),
        prorate=params.boolean("prorate"),
    )  # fmt: skip
    return subscription


def subscription_end(
    tx: Session, subscription: Obj, *, reason: str, invoice_now: bool = False, prorate: bool = False
) -> None:
    now = now_of(tx, subscription)
    customer = tx.get(subscription["customer"], "customer")
    if prorate:
        for item in tx.find("subscription_item", subscription=subscription["id"]):
            credit_unused(tx, customer, item, at=now)
    if not invoice_now and not prorate:
        for pending in tx.find("invoiceitem", subscription=subscription["id"], invoice=None):
            if pending["proration"]:
                emit(tx, "invoiceitem.deleted", pending)
                tx.remove(pending["id"])
    for invoice in tx.find("invoice", subscription=subscription["id"], status="open"):
        collecting_stop(tx, invoice)
    if invoice_now:
        _last_invoice(tx, subscription, customer, now)
    ended(tx, subscription, reason=reason)


def ended(tx: Session, subscription: Obj, *, reason: str) -> None:
    now = now_of(tx, subscription)
    subscription |= {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or now,
        "ended_at": now,
        "cancellation_details": subscription["cancellation_details"] | {"reason": reason},
    }
    for what in ("cycle", "cancel", "trial_warning", "expire"):
        timer_at(tx, subscription, what, None)
    schedule = tx.maybe(subscription["schedule"], "subscription_schedule")
    if schedule:
        schedule |= {"status": "canceled", "canceled_at": now, "current_phase": None}
        tx.save(schedule)
        emit(tx, "subscription_schedule.canceled", schedule)
    tx.save(subscription)
    emit(tx, "customer.subscription.deleted", subscription)


def cancel_at_set(tx: Session, subscription: Obj, params: Params, period_end: int) -> None:
    """`cancel_at_period_end` and `cancel_at`. The caller saves."""
    now = now_of(tx, subscription)
    if subscription["schedule"] and (params.has("cancel_at_period_end") or params.has("cancel_at")):
        raise invalid(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )
    if params.has("cancel_at_period_end"):
        wanted = params.boolean("cancel_at_period_end")
        if wanted != subscription["cancel_at_period_end"]:
            _cancel_set(tx, subscription, period_end if wanted else None, at_period_end=wanted, now=now)
    if params.has("cancel_at"):
        at = params.integer("cancel_at") if params.given("cancel_at") else None
        if at is not None and at <= now:
            raise invalid("cancel_at must be in the future.", param="cancel_at")
        _cancel_set(tx, subscription, at, at_period_end=False, now=now)
    details_fill(subscription, params)


def details_fill(subscription: Obj, params: Params) -> None:
    child = params.child("cancellation_details")
    held = dict(subscription["cancellation_details"])
    if child.has("comment"):
        held["comment"] = child.text("comment")
    if child.has("feedback"):
        held["feedback"] = child.choice("feedback", FEEDBACK, "other") if child.given("feedback") else None
    subscription["cancellation_details"] = held


def not_ended(subscription: Obj) -> None:
    """Raises ApiError as Stripe does for a subscription that is over."""
    if subscription["status"] in ENDED:
        raise invalid(
            f"No such subscription: '{subscription['id']}', it has ended.", code="resource_missing", param="id"
        )


def credit_unused(tx: Session, customer: Obj, item: Obj, *, at: int) -> int:
    """Credits the rest of what an item was really debited with, from a time on; how many credits."""
    price = tx.get(item["price"], "price")
    made = 0
    for debit in item["_debits"]:
        line = tx.maybe(debit.get("line") or debit.get("pending"))
        if line is None or debit["end"] <= at:
            continue
        net = line["amount"] - sum(one["amount"] for one in line.get("discount_amounts", []))
        start = max(debit["start"], at)
        invoiceitem_add(
            tx, customer, cents=-share(net, debit["end"] - start, debit["end"] - debit["start"]),
            currency=price["currency"], text=f"Unused time on {product_name(tx, price)}", start=start,
            end=debit["end"], subscription=item["subscription"], item=item, price=price, quantity=item["quantity"],
            proration=True, discountable=False,
        )  # fmt: skip
        made += 1
    item["_debits"] = []
    tx.save(item)
    return made


def usage_lines(tx: Session, invoice: Obj, subscription: Obj, end: int) -> None:
    """What the metered items used up to now and was not invoiced yet."""
    for item in tx.find("subscription_item", subscription=subscription["id"]):
        if metered(tx.get(item["price"], "price")) and item["_usage_from"] < end:
            line_metered(tx, invoice, item, start=item["_usage_from"], end=end)
            item["_usage_from"] = end
            tx.save(item)


def _last_invoice(tx: Session, subscription: Obj, customer: Obj, now: int) -> None:
    start = tx.find("subscription_item", subscription=subscription["id"])[0]["current_period_start"]
    invoice = invoice_add(
        tx, customer, reason="subscription_cycle", start=start, end=now, subscription=subscription,
        currency=subscription["currency"],
    )  # fmt: skip
    usage_lines(tx, invoice, subscription, now)
    pending_take(tx, invoice)
    if not tx.find("line_item", invoice=invoice["id"]):
        tx.remove(invoice["id"])
        return
    draft_done(tx, invoice, finalize_at=None)
    finalize_and_collect(tx, invoice)


def _cancel_set(tx: Session, subscription: Obj, at: int | None, *, at_period_end: bool, now: int) -> None:
    subscription |= {
        "cancel_at": at,
        "cancel_at_period_end": at_period_end,
        "canceled_at": now if at else None,
        "cancellation_details": subscription["cancellation_details"]
        | {"reason": "cancellation_requested" if at else None},
    }
    timer_at(tx, subscription, "cancel", None if at_period_end else at)
