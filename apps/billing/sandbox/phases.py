"""What a subscription schedule does to its subscription when a period ends: the next phase's prices, or the end."""

from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.store import Obj, Session
from apps.billing.sandbox.subscriptions import item_add, items_of


def schedule_of(tx: Session, subscription: Obj) -> Obj | None:
    return tx.maybe(subscription["schedule"], "subscription_schedule")


def cancels_at(tx: Session, subscription: Obj, at: int) -> bool:
    """Whether the schedule is over and says that the subscription is over with it."""
    schedule = schedule_of(tx, subscription)
    return bool(schedule and schedule["end_behavior"] == "cancel" and schedule["phases"][-1]["end_date"] <= at)


def phase_begin(tx: Session, subscription: Obj, at: int) -> None:
    """Moves on to the phase that has begun, or lets go of the subscription after the last. The caller bills."""
    schedule = schedule_of(tx, subscription)
    if schedule is None:
        return
    phase = next((one for one in schedule["phases"] if one["start_date"] <= at < one["end_date"]), None)
    if phase is None:
        release(tx, schedule, subscription, at, status="completed")
        return
    current = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    if current == schedule["current_phase"]:
        return
    with updating(tx, schedule, "subscription_schedule.updated"):
        schedule["current_phase"] = current
    if phase["billing_cycle_anchor"] == "phase_start":
        subscription["billing_cycle_anchor"] = at
        tx.save(subscription)
    _items_replace(tx, subscription, phase["items"], at)


def release(tx: Session, schedule: Obj, subscription: Obj, at: int, *, status: str = "released") -> None:
    """The subscription goes on as it is, by itself."""
    schedule |= {
        "status": status,
        "current_phase": None,
        "completed_at": at if status == "completed" else None,
        "released_at": at if status == "released" else None,
        "released_subscription": subscription["id"],
        "subscription": None,
    }
    tx.save(schedule)
    emit(tx, f"subscription_schedule.{status}", schedule)
    with updating(tx, subscription, "customer.subscription.updated"):
        subscription["schedule"] = None


def _items_replace(tx: Session, subscription: Obj, wanted: list[Obj], at: int) -> None:
    """Items whose price stays stay themselves; nothing is prorated, since a period has just ended."""
    held = {item["price"]: item for item in items_of(tx, subscription)}
    for one in wanted:
        item = held.pop(one["price"], None)
        if item:
            item["quantity"] = one.get("quantity", 1)
            tx.save(item)
        else:
            said = {"price": one["price"]} | ({"quantity": str(one["quantity"])} if "quantity" in one else {})
            item_add(tx, subscription, Params(said), at)
    for item in held.values():
        tx.remove(item["id"])
