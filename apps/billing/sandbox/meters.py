"""Billing meters: what was used, by customer and hour.

A meter event's identifier counts once for ever (Stripe promises at least 24 hours). Its timestamp lies at most 35 days
back and five minutes ahead, by the customer's clock. It shows in summaries a moment later; invoices count what was
accepted. Values are whole numbers, negative ones take back; a period's total below zero is invoiced as nothing.
"""

import re

from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.errors import ApiError, invalid
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.ids import new_id, word
from apps.billing.sandbox.render import listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

OLDEST_S = 35 * 86_400
AHEAD_S = 300
VISIBLE_AFTER_S = 0.3
WHOLE = re.compile(r"[+-]?\d{1,15}\Z")
MOST_IDENTIFIER = 100
HOUR_S = 3_600
CANCEL_WITHIN_S = 86_400


@route("POST", "/v1/billing/meters")
def meter_create(request: Request) -> Obj:
    tx, params = request.tx, request.params
    name = params.required("event_name")
    if tx.find("billing.meter", event_name=name, status="active"):
        raise invalid(f"An active meter with event name '{name}' already exists.", param="event_name")
    params.ignore("event_time_window")
    formula = params.child("default_aggregation").choice("formula", ("sum",), "sum")
    mapping, value = params.child("customer_mapping"), params.child("value_settings")
    meter = {
        "id": new_id("billing.meter"),
        "object": "billing.meter",
        "created": int(tx.real_now),
        "customer_mapping": {
            "event_payload_key": mapping.text("event_payload_key") or "stripe_customer_id",
            "type": mapping.choice("type", ("by_id",), "by_id"),
        },
        "default_aggregation": {"formula": formula},
        "display_name": params.required("display_name"),
        "event_name": name,
        "event_time_window": None,
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": int(tx.real_now),
        "value_settings": {"event_payload_key": value.text("event_payload_key") or "value"},
    }
    tx.add(meter)
    emit(tx, "billing.meter.created", meter)
    return meter


@route("GET", "/v1/billing/meters")
def meter_list(request: Request) -> Obj:
    equal = request.params.equal("status")
    return listing(request.tx, request.params, "billing.meter", url="/v1/billing/meters", equal=equal)


@route("GET", "/v1/billing/meters/{id}")
def meter_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "billing.meter")


@route("POST", "/v1/billing/meters/{id}")
def meter_update(request: Request) -> Obj:
    meter = request.tx.get(request.args["id"], "billing.meter")
    with updating(request.tx, meter, "billing.meter.updated"):
        if request.params.has("display_name"):
            meter["display_name"] = request.params.required("display_name")
            meter["updated"] = int(request.tx.real_now)
    return meter


@route("POST", "/v1/billing/meters/{id}/deactivate")
def meter_deactivate(request: Request) -> Obj:
    return _status_set(request, "inactive", "billing.meter.deactivated", int(request.tx.real_now))


@route("POST", "/v1/billing/meters/{id}/reactivate")
def meter_reactivate(request: Request) -> Obj:
    return _status_set(request, "active", "billing.meter.reactivated", None)


@route("POST", "/v1/billing/meter_events")
def meter_event_create(request: Request) -> Obj:
    tx, params = request.tx, request.params
    name = params.required("event_name")
    meter = _meter_named(tx, name)
    payload = params.child("payload")
    payload.ignore(*(params.raw("payload") or {}))  # dimensions may come along
    text = payload.required(meter["value_settings"]["event_payload_key"])
    who = payload.required(meter["customer_mapping"]["event_payload_key"])
    if not WHOLE.match(text):
        raise invalid(f"The value of the meter event must be a whole number: {text}", param="payload[value]")
    customer = tx.maybe(who, "customer")
    if customer is None or customer.get("deleted"):
        raise invalid(f"No such customer: '{who}'", param="payload", code="resource_missing")
    now = now_of(tx, customer)
    at = params.integer("timestamp", now)
    if at < now - OLDEST_S:
        raise invalid("The timestamp is too far in the past: at most 35 days.", param="timestamp",
                      code="timestamp_too_far_in_past")  # fmt: skip
    if at > now + AHEAD_S:
        raise invalid("The timestamp is too far in the future: at most 5 minutes.", param="timestamp",
                      code="timestamp_in_future")  # fmt: skip
    identifier = params.text("identifier") or word(24)
    _usage_add(tx, meter, identifier, customer=who, at=at, value=int(text), now=now)
    return {
        "object": "billing.meter_event",
        "created": now,
        "event_name": name,
        "identifier": identifier,
        "livemode": False,
        "payload": dict(params.raw("payload")),
        "timestamp": at,
    }


@route("POST", "/v1/billing/meter_event_adjustments")
def meter_event_adjustment_create(request: Request) -> Obj:
    """Takes one event back, up to 24 hours after it was received."""
    tx, params = request.tx, request.params
    meter = _meter_named(tx, params.required("event_name"))
    params.choice("type", ("cancel",), "cancel")
    identifier = params.child("cancel").required("identifier")
    row = tx.connection.execute(
        "SELECT seq, canceled, received_at, customer FROM usage WHERE meter = ? AND identifier = ?",
        (meter["id"], identifier),
    ).fetchone()
    if not row:
        raise invalid(f"No meter event with the identifier {identifier}.", param="cancel[identifier]",
                      code="resource_missing")  # fmt: skip
    if now_of(tx, tx.get(row[3], "customer")) - row[2] > CANCEL_WITHIN_S:
        raise invalid("Meter events can be canceled within 24 hours of being received.", param="cancel[identifier]")
    if row[1]:
        raise invalid("The meter event was canceled already.", param="cancel[identifier]")
    tx.connection.execute("UPDATE usage SET canceled = 1 WHERE seq = ?", (row[0],))
    return {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": meter["event_name"],
        "livemode": False,
        "status": "pending",
        "type": "cancel",
    }


@route("GET", "/v1/billing/meters/{id}/event_summaries")
def event_summaries(request: Request) -> Obj:
    """The whole range as one value, or one per hour or day that has events; the newest first."""
    tx, params = request.tx, request.params
    meter = tx.get(request.args["id"], "billing.meter")
    customer = params.required("customer")
    params.required("start_time")
    params.required("end_time")
    start, end = params.integer("start_time"), params.integer("end_time")
    window = params.choice("value_grouping_window", ("", "hour", "day"), "")
    step = {"": 60, "hour": HOUR_S, "day": 24 * HOUR_S}[window]
    if start >= end or start % step or end % step:
        raise invalid(f"start_time and end_time must be in order and whole {window or 'minute'}s.", param="start_time")
    buckets = [(start, end)]
    if window:
        rows = tx.connection.execute(
            "SELECT DISTINCT at / ? FROM usage WHERE customer = ? AND meter = ? AND at >= ? AND at < ? AND canceled = 0"
            " AND visible_at <= ? ORDER BY 1 DESC",
            (step, customer, meter["id"], start, end, tx.real_now),
        ).fetchall()
        buckets = [(number * step, number * step + step) for (number,) in rows]
    data = [_summary(tx, meter, customer, start, end) for start, end in buckets]
    return _page(params.integer("limit", 10, least=1, most=100), params.text("starting_after"), data, request.path)


def usage_total(tx: Session, *, meter: str, customer: str, start: int, end: int, visible_only: bool = False) -> int:
    """Units in [start, end), which may be below zero."""
    row = tx.connection.execute(
        "SELECT COALESCE(SUM(value), 0) FROM usage WHERE customer = ? AND meter = ? AND at >= ? AND at < ?"
        " AND canceled = 0 AND visible_at <= ?",
        (customer, meter, start, end, tx.real_now if visible_only else 2**53),
    ).fetchone()
    return int(row[0])


def _usage_add(tx: Session, meter: Obj, identifier: str, *, customer: str, at: int, value: int, now: int) -> None:
    if len(identifier) > MOST_IDENTIFIER:
        raise invalid("Identifiers have at most 100 characters.", param="identifier")
    done = tx.connection.execute(
        "INSERT INTO usage (meter, identifier, customer, at, value, visible_at, received_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (meter, identifier) DO NOTHING",
        (meter["id"], identifier, customer, at, value, tx.real_now + VISIBLE_AFTER_S, now),
    )
    if done.rowcount == 0:
        raise ApiError(
            f"An event already exists with identifier {identifier}.", param="identifier",
            code="duplicate_meter_event",
        )  # fmt: skip


def _summary(tx: Session, meter: Obj, customer: str, start: int, end: int) -> Obj:
    total = usage_total(tx, meter=meter["id"], customer=customer, start=start, end=end, visible_only=True)
    return {
        "id": f"mtrusg_test_{meter['id'][-8:]}{customer[-8:]}{start}",
        "object": "billing.meter_event_summary",
        "aggregated_value": total,
        "end_time": end,
        "livemode": False,
        "meter": meter["id"],
        "start_time": start,
    }


def _page(limit: int, after: str | None, data: list[Obj], url: str) -> Obj:
    idents = [one["id"] for one in data]
    if after and after not in idents:
        raise invalid(f"No such event summary: '{after}'", param="starting_after", code="resource_missing")
    rest = data[idents.index(after) + 1 :] if after else data
    return {"object": "list", "url": url, "has_more": len(rest) > limit, "data": rest[:limit]}


def _meter_named(tx: Session, name: str) -> Obj:
    found = tx.find("billing.meter", event_name=name)
    active = [meter for meter in found if meter["status"] == "active"]
    if not found:
        raise ApiError(f"No meter with event name '{name}'.", status=404, code="resource_missing", param="event_name")
    if not active:
        raise invalid("The meter is inactive.", param="event_name", code="archived_meter_for_event")
    return active[0]


def _status_set(request: Request, status: str, kind: str, at: int | None) -> Obj:
    meter = request.tx.get(request.args["id"], "billing.meter")
    meter["status"] = status
    meter["status_transitions"] = {"deactivated_at": at}
    request.tx.save(meter)
    emit(request.tx, kind, meter)
    return meter
