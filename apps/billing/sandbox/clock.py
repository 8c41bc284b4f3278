"""What time it is for an object: its customer's test clock, or the real time where there is none."""

from apps.billing.sandbox.store import Obj, Session


def now_of(tx: Session, item: Obj) -> int:
    if tx.pretend_at is not None:
        return tx.pretend_at
    clock = tx.maybe(clock_of(tx, item), "test_helpers.test_clock")
    return int(clock["_now"]) if clock else int(tx.real_now)


def clock_of(tx: Session, item: Obj) -> str | None:
    """The id of the test clock that an object lives by."""
    if item["object"] == "test_helpers.test_clock":
        return str(item["id"])
    if item.get("test_clock"):
        return str(item["test_clock"])
    customer = tx.maybe(item.get("customer") or item.get("_customer"), "customer")
    return customer.get("test_clock") if customer else None


def timer_at(tx: Session, item: Obj, what: str, at: int | None) -> None:
    tx.timer_set(item["id"], what, at, clock_of(tx, item))
