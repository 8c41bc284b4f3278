"""Subscription schedules, as far as a change at the end of the period needs them: made from a subscription, two or more
phases one after the other, each ending where a period ends; then the subscription is let go, or ends.
"""

from apps.billing.sandbox.canceling import subscription_end
from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.lines import metered
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.periods import period_at
from apps.billing.sandbox.phases import release
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session
from apps.billing.sandbox.subscriptions import items_of, period_of, price_verify, prices_verify, quantity_read

KIND = "subscription_schedule"
BEHAVIOURS = ("release", "cancel")
IGNORED = ("discounts", "metadata", "collection_method", "default_payment_method", "description", "invoice_settings")


@route("POST", "/v1/subscription_schedules")
def schedule_create(request: Request) -> Obj:
    """With the one phase that the subscription is in."""
    tx, params = request.tx, request.params
    subscription = tx.get(params.required("from_subscription"), "subscription", param="from_subscription")
    if subscription["schedule"]:
        raise invalid(
            f"The subscription already has the schedule {subscription['schedule']}.", param="from_subscription"
        )
    if subscription["status"] in ("canceled", "incomplete", "incomplete_expired", "paused"):
        raise invalid(f"A subscription that is {subscription['status']} has no schedule.", param="from_subscription")
    if subscription["cancel_at"]:
        raise invalid("A subscription that is set to cancel has no schedule here.", param="from_subscription")
    schedule = _blank(tx, subscription)
    tx.add(schedule)
    emit(tx, "subscription_schedule.created", schedule)
    with updating(tx, subscription, "customer.subscription.updated"):
        subscription["schedule"] = schedule["id"]
    return schedule


@route("GET", "/v1/subscription_schedules")
def schedule_list(request: Request) -> Obj:
    equal = request.params.equal("customer")
    return listing(request.tx, request.params, KIND, url="/v1/subscription_schedules", equal=equal)


@route("GET", "/v1/subscription_schedules/{id}")
def schedule_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], KIND)


@route("POST", "/v1/subscription_schedules/{id}")
def schedule_update(request: Request) -> Obj:
    """`phases` says all phases from the current one on."""
    tx, params = request.tx, request.params
    schedule = _active(tx, request.args["id"])
    subscription = tx.get(schedule["subscription"], "subscription")
    params.choice("proration_behavior", ("none", "create_prorations"), "none")
    with updating(tx, schedule, "subscription_schedule.updated"):
        schedule["end_behavior"] = params.choice("end_behavior", BEHAVIOURS, schedule["end_behavior"])
        schedule["metadata"] = params.metadata(schedule["metadata"])
        phases = params.children("phases")
        if phases:
            schedule["phases"] = _phases(tx, subscription, phases)
    return schedule


@route("POST", "/v1/subscription_schedules/{id}/release")
def schedule_release(request: Request) -> Obj:
    tx, schedule = request.tx, _active(request.tx, request.args["id"])
    request.params.ignore("preserve_cancel_date")
    subscription = tx.get(schedule["subscription"], "subscription")
    release(tx, schedule, subscription, now_of(tx, subscription))
    return schedule


@route("POST", "/v1/subscription_schedules/{id}/cancel")
def schedule_cancel(request: Request) -> Obj:
    """The subscription ends with it, at once."""
    tx, params = request.tx, request.params
    schedule = _active(tx, request.args["id"])
    subscription_end(
        tx, tx.get(schedule["subscription"], "subscription"), reason="cancellation_requested",
        invoice_now=params.boolean("invoice_now"), prorate=params.boolean("prorate"),
    )  # fmt: skip
    return schedule


def _active(tx: Session, ident: str) -> Obj:
    schedule = tx.get(ident, KIND)
    if schedule["status"] != "active":
        raise invalid(f"This schedule is {schedule['status']} and can no longer be changed.")
    return schedule


def _phases(tx: Session, subscription: Obj, said: list[Params]) -> list[Obj]:
    """Raises ApiError unless the first is the current one and each follows on the one before."""
    start, end = period_of(tx, subscription)
    made: list[Obj] = []
    for number, one in enumerate(said):
        one.ignore(*IGNORED)
        one.choice("proration_behavior", ("none", "create_prorations"), "none")
        begins = start if number == 0 else made[-1]["end_date"]
        if one.given("start_date") and one.integer("start_date") != begins:
            raise invalid(f"The phase starts where the one before it ends, at {begins}.", param=one.name("start_date"))
        items = _items(tx, one)
        ends = end if number == 0 else _end(tx, one, items, begins)
        if number == 0 and one.given("end_date") and one.integer("end_date") != end:
            raise invalid(f"The current phase ends with the period here, at {end}.", param=one.name("end_date"))
        anchor = one.choice("billing_cycle_anchor", ("automatic", "phase_start"), "automatic")
        made.append(_phase(subscription, begins, ends, items, anchor=anchor))
    return made


def _items(tx: Session, params: Params) -> list[Obj]:
    made, prices = [], []
    for one in params.children("items"):
        one.ignore("metadata", "discounts")
        price = tx.get(one.required("price"), "price", param=one.name("price"))
        price_verify(price, one)
        quantity = quantity_read(price, one, 1)
        prices.append(price)
        made.append(_item(price, quantity))
    if not made:
        raise invalid("A phase has at least one item.", param=params.name("items"))
    prices_verify(prices)
    return made


def _end(tx: Session, params: Params, items: list[Obj], begins: int) -> int:
    """`end_date`, or a `duration`, or one period."""
    if params.given("end_date"):
        ends = params.integer("end_date")
        if ends <= begins:
            raise invalid("A phase ends after it starts.", param=params.name("end_date"))
        return ends
    duration = params.child("duration")
    recurring = tx.get(items[0]["price"], "price")["recurring"]
    interval = duration.choice("interval", ("day", "week", "month", "year"), recurring["interval"])
    count = duration.integer("interval_count", recurring["interval_count"], least=1)
    return period_at(anchor=begins, interval=interval, count=count, at=begins)[1]


def _item(price: Obj, quantity: int) -> Obj:
    item = {"billing_thresholds": None, "discounts": [], "metadata": {}, "price": price["id"], "tax_rates": []}
    return item if metered(price) else item | {"quantity": quantity}


def _phase(subscription: Obj, start: int, end: int, items: list[Obj], *, anchor: str = "automatic") -> Obj:
    unused = (
        "application_fee_percent", "billing_thresholds", "collection_method",
        "default_payment_method", "description", "invoice_settings", "on_behalf_of", "transfer_data", "trial_end",
    )  # fmt: skip
    return dict.fromkeys(unused) | {
        "add_invoice_items": [],
        "billing_cycle_anchor": None if anchor == "automatic" else anchor,
        "currency": subscription["currency"],
        "default_tax_rates": [],
        "discounts": [],
        "end_date": end,
        "items": items,
        "metadata": {},
        "proration_behavior": "none",
        "start_date": start,
    }


def _blank(tx: Session, subscription: Obj) -> Obj:
    start, end = period_of(tx, subscription)
    items = [_item(tx.get(one["price"], "price"), one["quantity"]) for one in items_of(tx, subscription)]
    return {
        "id": new_id(KIND),
        "object": KIND,
        "application": None,
        "billing_mode": subscription["billing_mode"],
        "canceled_at": None,
        "completed_at": None,
        "created": now_of(tx, subscription),
        "current_phase": {"start_date": start, "end_date": end},
        "customer": subscription["customer"],
        "customer_account": None,
        "default_settings": {
            "application_fee_percent": None,
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": subscription["collection_method"],
            "default_payment_method": None,
            "description": None,
            "invoice_settings": {
                "account_tax_ids": None, "custom_fields": None, "days_until_due": None, "description": None,
                "footer": None, "issuer": {"type": "self"},
            },
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": "release",
        "livemode": False,
        "metadata": {},
        "phases": [_phase(subscription, start, end, items)],
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    }  # fmt: skip
