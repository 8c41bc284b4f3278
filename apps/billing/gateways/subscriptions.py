"""Subscriptions at Stripe: what they are now, and how they are changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from apps.billing.gateways.charges import PERIOD, ExtraLine, product_ensure
from apps.billing.gateways.errors import StripeRefused, told_apart
from apps.billing.money import CURRENCY

if TYPE_CHECKING:
    import stripe

PLAN = "plan"  # the key in our metadata that names one of our plans
_BEFORE = "plans_before"  # on a subscription: `code@unix seconds` of each that it had, oldest first
_KEPT = 12  # of them; a value of Stripe's metadata holds 500 characters
_NEVER_BEGUN = ("incomplete", "incomplete_expired")
_ENDED = "canceled"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription as Stripe has it now. `status` is Stripe's word; `since` is when the period began that it is in;
    `ended_at` is set when it is over, `ends_at` when it will not renew, `next_plan_code` when another plan begins at
    `renews_at`. `before` are the plans that it had, each with when a period of it began, oldest first.
    """

    id: str
    status: str
    plan_code: str
    since: datetime
    renews_at: datetime
    ends_at: datetime | None
    ended_at: datetime | None
    next_plan_code: str
    before: tuple[tuple[str, datetime], ...] = ()


class Subscriptions:
    def __init__(self, client: "stripe.StripeClient") -> None:
        self._client = client

    def of(self, customer: str) -> list[Subscribed]:
        """All that ever began, in the order in which they did. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            asked = {"customer": customer, "status": "all", "limit": 100, "expand": ["data.schedule"]}
            found = self._client.v1.subscriptions.list(cast("Any", asked))
            begun = [one for one in found.auto_paging_iter() if one.status not in _NEVER_BEGUN]
        return [_subscribed(one) for one in sorted(begun, key=lambda one: (one.created, one.status != _ENDED))]

    def upgrade(self, subscription: str, *, code: str, prices: list[str], lines: Sequence[ExtraLine]) -> None:
        """To another plan now: a period begins, its fee and `lines` are charged at once, and if that fails nothing has
        changed. Does nothing where the subscription is on that plan. Not for one that is to change or end. The plan
        that it leaves is written on the subscription, so that it counts even if nobody has heard of it yet. Raises
        StripeUnknown, StripeRefused.
        """
        with told_apart():
            held = self._retrieve(subscription)
            if _code_of(held) == code:
                return
            wanted = {
                "items": _items(held, prices),
                "billing_cycle_anchor": "now",
                "proration_behavior": "none",  # we rate
                "payment_behavior": "error_if_incomplete",
                "add_invoice_items": [self._extra(line) for line in lines],
                "metadata": {_BEFORE: _left(held)},
            }
            self._let_go(held)
            self._client.v1.subscriptions.update(subscription, cast("Any", wanted))

    def change_at_renewal(self, subscription: str, *, code: str, prices: list[str]) -> None:
        """To another plan when this period ends. Not for one that is to change or end already. Raises StripeUnknown,
        StripeRefused.
        """
        with told_apart():
            self._let_go(self._retrieve(subscription))
            schedule = self._client.v1.subscription_schedules.create({"from_subscription": subscription})
            current = schedule.phases[0].to_dict()
            phases = [
                {
                    "items": [_phase_item(item["price"], item.get("quantity")) for item in current["items"]],
                    "start_date": current["start_date"],
                    "end_date": current["end_date"],
                },
                {
                    "items": [_phase_item(price, 1 if place == 0 else None) for place, price in enumerate(prices)],
                    "proration_behavior": "none",
                    "billing_cycle_anchor": "phase_start",  # as our periods begin anew with a plan
                    "duration": {"interval": "month", "interval_count": 1},
                },
            ]
            wanted = {"phases": phases, "end_behavior": "release", "metadata": {PLAN: code}}
            self._client.v1.subscription_schedules.update(schedule.id, cast("Any", wanted))

    def end_at_renewal(self, subscription: str) -> None:
        """Raises StripeUnknown, StripeRefused."""
        with told_apart():
            self._let_go(self._retrieve(subscription))
            self._client.v1.subscriptions.update(subscription, {"cancel_at_period_end": True})

    def cancel(self, subscription: str) -> None:
        """Now. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            self._client.v1.subscriptions.cancel(subscription)

    def keep(self, subscription: str) -> None:
        """Takes back what was to happen at the renewal. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            held = self._retrieve(subscription)
            self._let_go(held)
            if held.cancel_at_period_end or held.cancel_at:
                self._client.v1.subscriptions.update(subscription, {"cancel_at_period_end": False})

    def _let_go(self, held: "stripe.Subscription") -> None:
        """Of its schedule: one that has done its work goes on until the end of the period that it began."""
        schedule = held.schedule
        if schedule is not None and not isinstance(schedule, str) and schedule.status == "active":
            self._client.v1.subscription_schedules.release(schedule.id)

    def _extra(self, line: ExtraLine) -> dict[str, Any]:
        return {
            "price_data": {
                "currency": CURRENCY,
                "product": product_ensure(self._client, line.kind),
                "unit_amount": line.cents,
            },
            "metadata": {PERIOD: line.since.isoformat()},
            "period": {"start": _moment(line.since), "end": _moment(line.until)},
        }

    def _retrieve(self, subscription: str) -> "stripe.Subscription":
        return self._client.v1.subscriptions.retrieve(subscription, {"expand": ["schedule"]})


def _subscribed(held: "stripe.Subscription") -> Subscribed:
    code = _code_of(held)
    if code is None:
        raise StripeRefused(f"the subscription {held.id} is for none of our plans")
    items = held["items"].data
    renews_at = min(item.current_period_end for item in items)
    ends_at = held.cancel_at or (renews_at if held.cancel_at_period_end else None)
    schedule = held.schedule
    is_scheduled = schedule is not None and not isinstance(schedule, str) and schedule.status == "active"
    metadata = schedule.metadata if is_scheduled and not isinstance(schedule, str) and schedule else None
    next_code = str(metadata[PLAN]) if metadata and PLAN in metadata else ""
    return Subscribed(
        held.id, held.status, code, _since(held), _at(renews_at),
        _at(ends_at) if ends_at else None, _at(held.ended_at) if held.ended_at else None,
        "" if next_code == code else next_code, _before(held),
    )  # fmt: skip


def _since(held: "stripe.Subscription") -> datetime:
    return _at(max(item.current_period_start for item in held["items"].data))


def _left(held: "stripe.Subscription") -> str:
    """What it says of its plans once it leaves the present one."""
    plans = [*_before(held), (_code_of(held), _since(held))][-_KEPT:]
    return " ".join(f"{code}@{int(since.timestamp())}" for code, since in plans if code)


def _before(held: "stripe.Subscription") -> tuple[tuple[str, datetime], ...]:
    kept = held.metadata.to_dict().get(_BEFORE, "") if held.metadata else ""
    parted = (one.partition("@") for one in kept.split())
    return tuple((code, _at(int(since))) for code, _, since in parted if since.isdecimal())


def _code_of(held: "stripe.Subscription") -> str | None:
    kept = [item.price.metadata.to_dict() for item in held["items"].data if item.price.metadata]
    return next((str(metadata[PLAN]) for metadata in kept if PLAN in metadata), None)


def _items(held: "stripe.Subscription", prices: list[str]) -> list[dict[str, Any]]:
    """The base item and the metered one get the new plan's prices; one too few is added, one too many goes."""
    now = sorted(held["items"].data, key=lambda item: item.price.recurring.usage_type == "metered")
    changed: list[dict[str, Any]] = []
    for place in range(max(len(now), len(prices))):
        if place >= len(prices):
            changed.append({"id": now[place].id, "deleted": True})
        elif place >= len(now):
            changed.append({"price": prices[place]})
        else:
            changed.append({"id": now[place].id, "price": prices[place]})
    return changed


def _phase_item(price: str, quantity: int | None) -> dict[str, Any]:
    return {"price": price} if quantity is None else {"price": price, "quantity": quantity}


def _moment(at: datetime) -> dict[str, Any]:
    return {"type": "timestamp", "timestamp": int(at.timestamp())}


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
