"""Subscription items by themselves: the same changes as through their subscription."""

from apps.billing.sandbox.changes import subscription_change
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

OF_ITEM = ("price", "quantity", "metadata")
OF_CHANGE = ("proration_behavior", "proration_date", "payment_behavior")


@route("GET", "/v1/subscription_items")
def item_list(request: Request) -> Obj:
    subscription = request.params.required("subscription")
    request.tx.get(subscription, "subscription", param="subscription")
    return listing(
        request.tx,
        request.params,
        "subscription_item",
        url="/v1/subscription_items",
        equal={"subscription": subscription},
    )


@route("GET", "/v1/subscription_items/{id}")
def item_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "subscription_item")


@route("POST", "/v1/subscription_items")
def item_create(request: Request) -> Obj:
    tx, subscription = request.tx, request.tx.get(request.params.required("subscription"), "subscription")
    held = {item["id"] for item in tx.find("subscription_item", subscription=subscription["id"])}
    _change(tx, subscription, request.params, {})
    return next(i for i in tx.find("subscription_item", subscription=subscription["id"]) if i["id"] not in held)


@route("POST", "/v1/subscription_items/{id}")
def item_update(request: Request) -> Obj:
    tx, item = request.tx, request.tx.get(request.args["id"], "subscription_item")
    _change(tx, tx.get(item["subscription"], "subscription"), request.params, {"id": item["id"]})
    return item


@route("DELETE", "/v1/subscription_items/{id}")
def item_delete(request: Request) -> Obj:
    tx, item = request.tx, request.tx.get(request.args["id"], "subscription_item")
    request.params.ignore("clear_usage")
    subscription = tx.get(item["subscription"], "subscription")
    _change(tx, subscription, request.params, {"id": item["id"], "deleted": "true"})
    return {"id": item["id"], "object": "subscription_item", "deleted": True}


def _change(tx: Session, subscription: Obj, params: Params, item: Obj) -> None:
    said = {name: params.raw(name) for name in OF_ITEM if params.has(name)}
    how = {name: params.raw(name) for name in OF_CHANGE if params.has(name)}
    subscription_change(tx, subscription, Params({"items": [item | said]} | how))
