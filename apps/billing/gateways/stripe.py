"""The only module that asks Stripe for anything. Called outside transactions and tenant scopes.

Every write carries an idempotency key or an identifier of ours, so that asking again after a break does nothing twice.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    import stripe

METER_EVENT = "checks_overage"  # what meter events are called
OLDEST = timedelta(days=35)  # Stripe takes nothing older
TIMEOUT_S = 20
_DUPLICATE = "duplicate_meter_event"


class StripeUnknown(Exception):
    """Nobody knows whether it happened: no answer, or one that says nothing. Ask again later."""


class StripeRefused(Exception):
    """It did not happen, and asking again would not help."""


@dataclass(frozen=True, slots=True)
class Meter:
    id: str
    event_name: str


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

    def meter_ensure(self) -> Meter:
        """Made by whoever comes first. Raises StripeUnknown, StripeRefused."""
        with _told_apart():
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
        with _told_apart():
            made = self._client.v1.customers.create(
                {"name": name, "email": email, "metadata": {"tenant": str(tenant_id)}},
                {"idempotency_key": f"customer-{tenant_id}"},
            )
        return made.id

    def usage_tell(self, *, customer: str, units: int, at: datetime, identifier: str) -> None:
        """Units beyond the included ones; negative ones take back. An identifier counts once for a day at least.
        Raises StripeUnknown, StripeRefused.
        """
        import stripe

        with _told_apart():
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
        with _told_apart():
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


@contextlib.contextmanager
def _told_apart() -> Iterator[None]:
    import stripe

    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise StripeUnknown(_said(error)) from error
    except stripe.StripeError as error:
        if error.http_status is None or error.http_status >= 500 or error.http_status == 409:
            raise StripeUnknown(_said(error)) from error
        raise StripeRefused(_said(error)) from error


def _said(error: "stripe.StripeError") -> str:
    return f"{type(error).__name__}: {error.user_message or error}"
