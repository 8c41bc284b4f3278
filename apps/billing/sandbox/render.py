"""Stored objects as Stripe shows them: what belongs inside is put inside, `expand` replaces ids, lists have pages.

Fields that start with an underscore are ours and never shown.
"""

from collections.abc import Callable
from typing import Any

from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.store import Obj, Session, conditions

MOST_LINES = 10
RANGES = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
Extra = list[tuple[str, list[Any]]]
Equal = dict[str, str | int | None]


def render(tx: Session, item: Obj) -> Obj:
    shown = {name: value for name, value in item.items() if not name.startswith("_")}
    inside = INSIDE.get(item["object"])
    if inside and not item.get("deleted") and "_shown" not in item:
        inside(tx, item, shown)
    return shown


def whole_list(url: str, items: list[Obj], *, most: int | None = None) -> Obj:
    shown = items[:most]
    return {"object": "list", "data": shown, "has_more": len(shown) < len(items), "url": url}


def listing(
    tx: Session, params: Params, kind: str, *, url: str, extra: Extra | None = None, oldest_first: bool = False,
    equal: Equal | None = None,
) -> Obj:  # fmt: skip
    """One page, the newest first. `extra`: more SQL conditions with their values."""
    limit = params.integer("limit", 10, least=1, most=100)
    after, before = params.text("starting_after"), params.text("ending_before")
    where, values = conditions(equal or {})
    for sql, more in [*(extra or []), *_created(params)]:
        where += f" AND {sql}"
        values += more
    upwards = oldest_first != bool(before)
    for cursor, param in ((after, "starting_after"), (before, "ending_before")):
        if cursor:
            tx.get(cursor, kind, param=param)
            where += " AND seq > " if upwards else " AND seq < "
            where += "(SELECT seq FROM object WHERE id = ?)"
            values.append(cursor)
    order = "ASC" if upwards else "DESC"
    rows = tx.connection.execute(
        f"SELECT id FROM object WHERE kind = ?{where} ORDER BY seq {order} LIMIT ?",  # noqa: S608
        (kind, *values, limit + 1),
    ).fetchall()
    found = [render(tx, tx.get(ident, kind)) for (ident,) in rows[:limit]]
    data = found[::-1] if before else found
    return {"object": "list", "url": url, "has_more": len(rows) > limit, "data": data}


def expand(tx: Session, shown: Any, path: list[str], *, whole: str) -> None:
    """Replaces ids along a path such as ["data", "customer"] by what they stand for. Raises ApiError."""
    if isinstance(shown, list):
        for item in shown:
            expand(tx, item, path, whole=whole)
        return
    if not path or shown is None:
        return
    head, rest = path[0], path[1:]
    if not isinstance(shown, dict) or (head not in shown and (shown.get("object"), head) not in INCLUDABLE):
        raise invalid(f"This property cannot be expanded ({whole}).", param="expand")
    if (shown.get("object"), head) in INCLUDABLE and shown.get(head) is None:
        included = INCLUDABLE[shown.get("object"), head](tx, shown.get("id", ""))
        if included is None:
            return
        shown[head] = included
    shown[head] = _expanded(tx, shown[head])
    expand(tx, shown[head], rest, whole=whole)


def _expanded(tx: Session, value: Any) -> Any:
    if isinstance(value, list):
        return [_expanded(tx, item) for item in value]
    if isinstance(value, str):
        found = tx.maybe(value)
        return render(tx, found) if found else value
    return value


def _created(params: Params) -> Extra:
    """`created=…` or `created[gte]=…`."""
    field = "json_extract(data, '$.created')"
    if not isinstance(params.raw("created"), dict):
        return [(f"{field} = ?", [params.integer("created")])] if params.given("created") else []
    child = params.child("created")
    return [(f"{field} {sign} ?", [child.integer(name)]) for name, sign in RANGES.items() if child.has(name)]


def _subscription(tx: Session, item: Obj, shown: Obj) -> None:
    items = [render(tx, one) for one in tx.find("subscription_item", subscription=item["id"])]
    shown["items"] = whole_list(f"/v1/subscription_items?subscription={item['id']}", items)


def _item(tx: Session, item: Obj, shown: Obj) -> None:
    price = tx.maybe(item["price"])
    shown["price"] = render(tx, price) if price else None
    if item["object"] == "subscription_item" and price and price["recurring"]["usage_type"] == "metered":
        shown.pop("quantity", None)


def _invoice(tx: Session, item: Obj, shown: Obj) -> None:
    shown["lines"] = invoice_lines(tx, item["id"], most=MOST_LINES)


def _credit_note(tx: Session, item: Obj, shown: Obj) -> None:
    lines = [render(tx, line) for line in tx.find("credit_note_line_item", _credit_note=item["id"])]
    shown["lines"] = whole_list(f"/v1/credit_notes/{item['id']}/lines", lines)


def invoice_lines(tx: Session, ident: str, *, most: int | None = None) -> Obj:
    lines = [render(tx, line) for line in tx.find("line_item", invoice=ident)]
    return whole_list(f"/v1/invoices/{ident}/lines", lines, most=most)


def _of_customer(kind: str, path: str) -> Callable[[Session, str], Obj]:
    def included(tx: Session, ident: str) -> Obj:
        found = tx.find(kind, newest_first=True, customer=ident)
        alive = [render(tx, one) for one in found if one.get("status") != "canceled"]
        return whole_list(f"/v1/customers/{ident}/{path}", alive)

    return included


def _refunds(tx: Session, ident: str) -> Obj:
    found = [render(tx, one) for one in tx.find("refund", newest_first=True, charge=ident)]
    return whole_list(f"/v1/charges/{ident}/refunds", found)


def _payments(tx: Session, ident: str) -> Obj:
    found = [render(tx, one) for one in tx.find("invoice_payment", invoice=ident)]
    return whole_list(f"/v1/invoice_payments?invoice={ident}", found)


def _bought(tx: Session, ident: str) -> Obj:
    found = [render(tx, one) for one in tx.find("item", _session=ident)]
    return whole_list(f"/v1/checkout/sessions/{ident}/line_items", found)


def _nothing(path: str) -> Callable[[Session, str], Obj]:
    return lambda _, ident: whole_list(f"/v1/customers/{ident}/{path}", [])


INSIDE: dict[str, Callable[[Session, Obj, Obj], None]] = {
    "subscription": _subscription,
    "subscription_item": _item,
    "item": _item,
    "invoice": _invoice,
    "credit_note": _credit_note,
}
INCLUDABLE: dict[tuple[str | None, str], Callable[[Session, str], Any]] = {
    (None, "breakdown"): lambda *_: {"discounts": [], "taxes": []},
    ("coupon", "applies_to"): lambda *_: None,  # everything
    ("coupon", "currency_options"): lambda *_: {},
    ("item", "discounts"): lambda *_: [],
    ("item", "taxes"): lambda *_: [],
    ("price", "currency_options"): lambda *_: {},
    ("price", "tiers"): lambda *_: None,  # there are no tiered prices here
    ("customer", "subscriptions"): _of_customer("subscription", "subscriptions"),
    ("customer", "tax_ids"): _of_customer("tax_id", "tax_ids"),
    ("customer", "sources"): _nothing("sources"),
    ("charge", "refunds"): _refunds,
    ("invoice", "payments"): _payments,
    ("checkout.session", "line_items"): _bought,
}
