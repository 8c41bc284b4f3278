"""Test clocks: a customer's own time, moved forward by hand, so that a year takes seconds.

Advancing only writes down until when; the ticker then does one timer after the other, in the order of their times,
each in its own transaction. A process killed in between goes on where it was.
"""

from apps.billing.sandbox.canceling import subscription_end
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj

KIND = "test_helpers.test_clock"
KEEP_S = 30 * 86_400
FARTHEST_S = 2 * 366 * 86_400


@route("POST", "/v1/test_helpers/test_clocks")
def clock_create(request: Request) -> Obj:
    tx, params = request.tx, request.params
    params.required("frozen_time")
    at = params.integer("frozen_time", least=0)
    clock = {
        "id": new_id("test_helpers.test_clock"),
        "object": KIND,
        "created": int(tx.real_now),
        "deletes_after": int(tx.real_now) + KEEP_S,
        "frozen_time": at,
        "livemode": False,
        "name": params.text("name"),
        "status": "ready",
        "status_details": {},
        "_now": at,
    }
    tx.add(clock)
    emit(tx, "test_helpers.test_clock.created", clock)
    return clock


@route("GET", "/v1/test_helpers/test_clocks")
def clock_list(request: Request) -> Obj:
    return listing(request.tx, request.params, KIND, url="/v1/test_helpers/test_clocks")


@route("GET", "/v1/test_helpers/test_clocks/{id}")
def clock_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], KIND)


@route("POST", "/v1/test_helpers/test_clocks/{id}/advance")
def clock_advance(request: Request) -> Obj:
    """At most two periods of a year at once; ready again when every timer up to then has gone off."""
    tx, clock = request.tx, request.tx.get(request.args["id"], KIND)
    request.params.required("frozen_time")
    at = request.params.integer("frozen_time")
    if clock["status"] != "ready":
        raise invalid("The test clock is still advancing.", code="test_clock_advancing")
    if not clock["_now"] < at <= clock["_now"] + FARTHEST_S:
        raise invalid("frozen_time must be in the clock's future, at most two years away.", param="frozen_time")
    clock |= {
        "frozen_time": at,
        "status": "advancing",
        "status_details": {"advancing": {"target_frozen_time": at}},
    }
    tx.save(clock)
    emit(tx, "test_helpers.test_clock.advancing", clock)
    return clock


@route("DELETE", "/v1/test_helpers/test_clocks/{id}")
def clock_delete(request: Request) -> Obj:
    """Its customers go with it."""
    tx, clock = request.tx, request.tx.get(request.args["id"], KIND)
    for customer in tx.find("customer", test_clock=clock["id"]):
        for subscription in tx.find("subscription", customer=customer["id"]):
            if subscription["status"] not in ("canceled", "incomplete_expired"):
                subscription_end(tx, subscription, reason="cancellation_requested")
        emit(tx, "customer.deleted", customer)
        gone = {"id": customer["id"], "object": "customer", "deleted": True}
        customer.clear()
        customer.update(gone)
        tx.save(customer)
    tx.connection.execute("DELETE FROM timer WHERE clock = ?", (clock["id"],))
    emit(tx, "test_helpers.test_clock.deleted", clock)
    tx.remove(clock["id"])
    return {"id": clock["id"], "object": KIND, "deleted": True}
