"""The only room that asks Stripe for anything. Called outside transactions and tenant scopes.

Every write carries an idempotency key or an identifier of ours, so that asking again after a break does nothing twice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from django.conf import settings

from apps.billing.gateways.catalogue import METER_EVENT, Catalogue, Meter, Priced
from apps.billing.gateways.charges import Charges
from apps.billing.gateways.credits import Credits
from apps.billing.gateways.errors import told_apart
from apps.billing.gateways.subscriptions import Subscriptions

OLDEST = timedelta(days=35)  # Stripe takes nothing older
TIMEOUT_S = 20
_DUPLICATE = "duplicate_meter_event"


@dataclass(frozen=True, slots=True)
class Answer:
    """What Stripe said at a path, word for word."""

    status: int
    body: str


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
        self.catalogue = Catalogue(self._client)
        self.subscriptions = Subscriptions(self._client)
        self.charges = Charges(self._client)
        self.credits = Credits(self._client)

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
        """Raises StripeUnknown, StripeRefused."""
        return self.catalogue.meter_ensure()

    def customer_create(self, *, tenant_id: int, name: str, email: str) -> str:
        """Its id; asking again within a day gives the same. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            made = self._client.v1.customers.create(
                {"name": name, "email": email, "metadata": {"tenant": str(tenant_id)}},
                {"idempotency_key": f"customer-{tenant_id}"},
            )
        return made.id

    def prices_ensure(self, plan: Priced) -> list[str]:
        """The base price, then, where the plan bills overage, the metered one. Raises StripeUnknown, StripeRefused."""
        return self.catalogue.plan_ensure(plan).prices

    def customer_contact(self, customer: str, *, email: str) -> None:
        """Whom Stripe writes to. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            self._client.v1.customers.update(customer, {"email": email})

    def customer_delete(self, customer: str) -> None:
        """Ends its subscription at once; its invoices stay at Stripe. One that is gone already is fine. Raises
        StripeUnknown, StripeRefused.
        """
        import stripe

        with told_apart():
            try:
                self._client.v1.customers.delete(customer)
            except stripe.InvalidRequestError as error:
                if error.http_status != 404 and error.code != "resource_missing":
                    raise

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
