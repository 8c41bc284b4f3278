"""Our plans as Stripe's products and prices, and the meter that overage is told to. What is there is left as it is, so
all of it can be asked for again; a price never changes, so other numbers are another price.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from apps.billing.gateways.errors import told_apart
from apps.billing.money import CURRENCY, MICRO

if TYPE_CHECKING:
    import stripe

METER_EVENT = "checks_overage"  # what meter events are called
PLAN = "plan"  # the key in our metadata that names one of our plans


@dataclass(frozen=True, slots=True)
class Meter:
    id: str
    event_name: str


@dataclass(frozen=True, slots=True)
class Priced:
    """What a plan costs, as Stripe needs it: cents a month, and micro-cents a check beyond."""

    code: str
    name: str
    price_cents: int
    overage_micro_cents: int | None


@dataclass(slots=True)
class Done:
    """Prices of a plan, the base first, and what had to be done for them, in words."""

    prices: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


class Catalogue:
    def __init__(self, client: "stripe.StripeClient") -> None:
        self._client = client

    def meter_ensure(self) -> Meter:
        """Made by whoever comes first. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            meters = self._client.v1.billing.meters.list({"status": "active", "limit": 100}).auto_paging_iter()
            for meter in meters:
                if meter.event_name == METER_EVENT:
                    return Meter(meter.id, meter.event_name)
            made = self._client.v1.billing.meters.create(
                {
                    "display_name": "Checks beyond the included ones",
                    "event_name": METER_EVENT,
                    "default_aggregation": {"formula": "sum"},
                    "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
                    "value_settings": {"event_payload_key": "value"},
                },
                {"idempotency_key": f"meter-{METER_EVENT}"},
            )
        return Meter(made.id, made.event_name)

    def plan_ensure(self, plan: Priced) -> Done:
        """A base price and, where the plan bills overage, a metered one. Raises StripeUnknown, StripeRefused."""
        wanted = self._wanted(plan)
        done = Done()
        with told_apart():
            found = self._client.v1.prices.list({"lookup_keys": list(wanted), "limit": 100})
            held = {price.lookup_key: price for price in found.data}
            for key, facts in wanted.items():
                price = held.get(key)
                if price is None:
                    price = self._price_make(plan, key, facts, done)
                elif not price.active:
                    self._client.v1.prices.update(price.id, {"active": True})
                    done.words.append(f"price {key} is sold again")
                done.prices.append(price.id)
        return done

    def product_ensure(self, plan: Priced, done: Done) -> str:
        """Raises StripeUnknown, StripeRefused."""
        ident = f"plan-{plan.code}"
        with told_apart():
            held = next(iter(self._client.v1.products.list({"ids": [ident]}).data), None)
            facts: dict[str, Any] = {"name": plan.name, "metadata": {PLAN: plan.code}, "active": True}
            if held is None:
                self._client.v1.products.create(cast("Any", {"id": ident} | facts))
                done.words.append(f"product {plan.name} is made")
            elif held.name != plan.name or not held.active:
                self._client.v1.products.update(ident, cast("Any", facts))
                done.words.append(f"product {held.name} is {plan.name} now")
        return ident

    def others_retire(self, kept: Collection[str]) -> list[str]:
        """Prices of plans that are not in `kept` are sold no more; who has them keeps them. Returns their lookup keys.
        Raises StripeUnknown, StripeRefused.
        """
        retired = []
        with told_apart():
            for price in self._client.v1.prices.list({"active": True, "limit": 100}).auto_paging_iter():
                if price.id not in kept and PLAN in price.metadata:
                    self._client.v1.prices.update(price.id, {"active": False})
                    retired.append(price.lookup_key or price.id)
        return retired

    def _wanted(self, plan: Priced) -> dict[str, dict[str, Any]]:
        base: dict[str, Any] = {"unit_amount": plan.price_cents, "recurring": {"interval": "month"}}
        wanted = {f"{plan.code}-base-{plan.price_cents}": base}
        if plan.overage_micro_cents is not None:
            cents = Decimal(plan.overage_micro_cents) / MICRO
            recurring = {"interval": "month", "usage_type": "metered", "meter": self.meter_ensure().id}
            metered = {"unit_amount_decimal": f"{cents:f}", "recurring": recurring}
            wanted[f"{plan.code}-overage-{plan.overage_micro_cents}"] = metered
        return wanted

    def _price_make(self, plan: Priced, key: str, facts: dict[str, Any], done: Done) -> "stripe.Price":
        whole = {
            "product": self.product_ensure(plan, done),
            "currency": CURRENCY,
            "lookup_key": key,
            "metadata": {PLAN: plan.code},
        } | facts
        made = self._client.v1.prices.create(cast("Any", whole), {"idempotency_key": f"price-{key}"})
        done.words.append(f"price {key} is made")
        return made
