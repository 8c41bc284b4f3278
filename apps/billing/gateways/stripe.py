"""The only room that asks Stripe for anything. Called outside transactions and tenant scopes.

Every write carries an idempotency key or an identifier of ours, so that asking again after a break does nothing twice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, cast

from django.conf import settings

from apps.billing.gateways.charges import Charges
from apps.billing.gateways.errors import told_apart
from apps.billing.gateways.subscriptions import Subscriptions
from apps.billing.money import CURRENCY, MICRO

METER_EVENT = "checks_overage"  # what meter events are called
OLDEST = timedelta(days=35)  # Stripe takes nothing older
TIMEOUT_S = 20
_DUPLICATE = "duplicate_meter_event"


@dataclass(frozen=True, slots=True)
class Answer:
    """What Stripe said at a path, word for word."""

    status: int
    body: str


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


class StripeGateway:
    """One account at Stripe, or at its stand-in where `api_base` names that."""

    def __init__(self, *, secret_key: str, api_base: str = "") -> None:
        import stripe  # takes a third of a second, which most processes need not wait for

        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base} if api_base else {},
            max_network_retries=1,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
        )
        self.subscriptions = Subscriptions(self._client)
        self.charges = Charges(self._client)

    def answer(self, path: str) -> Answer:
        """To a GET; that there is nothing is an answer, too. Raises StripeUnknown, StripeRefused."""
        import stripe

        with told_apart():
            try:
                found = self._client.raw_request("get", path)
            except stripe.InvalidRequestError as error:
                if error.http_status != 404:
                    raise
                return Answer(404, str(error.http_body))
        return Answer(200, found.body)

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

    def customer_create(self, *, tenant_id: int, name: str, email: str) -> str:
        """Its id; asking again within a day gives the same. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            made = self._client.v1.customers.create(
                {"name": name, "email": email, "metadata": {"tenant": str(tenant_id)}},
                {"idempotency_key": f"customer-{tenant_id}"},
            )
        return made.id

    def prices_ensure(self, plan: Priced) -> list[str]:
        """Ids of the plan's base price and, where it bills overage, of its metered price; made when they are not there.
        A plan whose numbers change gets new prices. Raises StripeUnknown, StripeRefused.
        """
        base: dict[str, Any] = {"unit_amount": plan.price_cents, "recurring": {"interval": "month"}}
        wanted = {f"{plan.code}-base-{plan.price_cents}": base}
        if plan.overage_micro_cents is not None:
            cents = Decimal(plan.overage_micro_cents) / MICRO
            recurring = {"interval": "month", "usage_type": "metered", "meter": self.meter_ensure().id}
            metered = {"unit_amount_decimal": f"{cents:f}", "recurring": recurring}
            wanted[f"{plan.code}-overage-{plan.overage_micro_cents}"] = metered
        with told_apart():
            found = self._client.v1.prices.list({"lookup_keys": list(wanted), "active": True})
            held = {price.lookup_key: price.id for price in found.data}
            return [held.get(key) or self._price_make(plan, key, facts) for key, facts in wanted.items()]

    def _price_make(self, plan: Priced, key: str, facts: dict[str, Any]) -> str:
        product = self._client.v1.products.create(
            {"name": plan.name, "metadata": {"plan": plan.code}}, {"idempotency_key": f"product-{key}"}
        )
        facts = {
            "product": product.id,
            "currency": CURRENCY,
            "lookup_key": key,
            "metadata": {"plan": plan.code},
        } | facts
        made = self._client.v1.prices.create(cast("Any", facts), {"idempotency_key": f"price-{key}"})
        return made.id

    def checkout_url(self, *, customer: str, prices: list[str], success_url: str, cancel_url: str) -> str:
        """A hosted page on which the first of `prices` is bought and the metered one agreed to. Raises StripeUnknown,
        StripeRefused.
        """
        base, *metered = prices
        wanted = {
            "mode": "subscription",
            "customer": customer,
            "line_items": [{"price": base, "quantity": 1}, *({"price": price} for price in metered)],
            "success_url": success_url,
            "cancel_url": cancel_url,
        }
        with told_apart():
            made = self._client.v1.checkout.sessions.create(cast("Any", wanted))
        assert made.url is not None
        return made.url

    def portal_url(self, *, customer: str, return_url: str) -> str:
        """A hosted page for cards, invoices and the end of the subscription. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            made = self._client.v1.billing_portal.sessions.create({"customer": customer, "return_url": return_url})
        return made.url

    def usage_tell(self, *, customer: str, units: int, at: datetime, identifier: str) -> None:
        """Units beyond the included ones; negative ones take back. An identifier counts once for a day at least.
        Raises StripeUnknown, StripeRefused.
        """
        import stripe

        with told_apart():
            try:
                self._client.v1.billing.meter_events.create(
                    {
                        "event_name": METER_EVENT,
                        "identifier": identifier,
                        "timestamp": int(at.timestamp()),
                        "payload": {"stripe_customer_id": customer, "value": str(units)},
                    }
                )
            except stripe.InvalidRequestError as error:
                if error.code != _DUPLICATE and "already exists" not in str(error):
                    raise

    def usage_told(self, *, customer: str, meter: Meter, since: datetime, until: datetime) -> int:
        """The sum of what was told, by timestamp; what was told a moment ago may be missing. Raises StripeUnknown,
        StripeRefused.
        """
        with told_apart():
            summaries = self._client.v1.billing.meters.event_summaries.list(
                meter.id,
                {
                    "customer": customer,
                    "start_time": int(since.timestamp()),
                    "end_time": int(until.timestamp()),
                },
            )
            return sum(int(summary.aggregated_value) for summary in summaries.auto_paging_iter())


@cache
def gateway() -> StripeGateway:
    """The one that the environment names."""
    return StripeGateway(secret_key=settings.STRIPE_SECRET_KEY, api_base=settings.STRIPE_API_BASE)
