"""dj-stripe's tables: what Stripe said of a customer last, for pages, staff and reports.

Stripe is asked outside of transactions, and what it said is written within one. While dj-stripe writes, it asks for
what it does not know yet; it is answered from what was asked before, and where there is no answer, the caller gives the
transaction up, asks, and begins again. So nothing waits for the network with a lock in its hands, and dj-stripe needs
no secret key, which it would keep in a table.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import stripe
from django.apps import apps
from djstripe import models
from djstripe.models.base import StripeModel

from apps.billing.gateways.stripe import Answer, StripeGateway

_NO_KEY = "sk_test_" + "x" * 24  # nothing is sent with it
LISTS = {
    "PaymentMethod": "/v1/payment_methods?customer={}&limit=100",
    "TaxId": "/v1/customers/{}/tax_ids?limit=100",
    "Subscription": "/v1/subscriptions?customer={}&status=all&limit=100",
    "Invoice": "/v1/invoices?customer={}&limit=100",
}
_PATHS = {"payment_method": "payment_methods", "subscription": "subscriptions", "invoice": "invoices"}


class AnswerMissing(BaseException):
    """dj-stripe asks at `path`. Not an Exception, because it passes over those in places."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Owed:
    """An invoice whose payment failed. Money in cents; `retried_at` is None when it is not tried again by itself."""

    invoice: str
    number: str
    cents: int
    since_at: datetime
    retried_at: datetime | None
    url: str


@dataclass(slots=True)
class Seen:
    """A customer as Stripe has it: the customer, its things by dj-stripe's name for their kind, answers by path."""

    customer: dict[str, Any]
    things: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    def owed(self) -> Owed | None:
        """The oldest invoice that was to be charged and could not. A purchase that failed is none: nothing was got."""
        failed = [
            invoice
            for invoice in self.things["Invoice"]
            if invoice["status"] == "open"
            and invoice["attempt_count"]
            and invoice["amount_remaining"]
            and invoice["billing_reason"] != "subscription_create"
        ]
        if not failed:
            return None
        oldest = min(failed, key=lambda invoice: (invoice["created"], invoice["id"]))
        since = oldest["status_transitions"]["finalized_at"] or oldest["created"]
        retried = oldest["next_payment_attempt"]
        return Owed(
            oldest["id"], oldest["number"] or "", oldest["amount_remaining"], datetime.fromtimestamp(since, UTC),
            datetime.fromtimestamp(retried, UTC) if retried else None, oldest["hosted_invoice_url"] or "",
        )  # fmt: skip


def customer_ask(gateway: StripeGateway, customer: str) -> Seen:
    """Raises StripeUnknown, StripeRefused."""
    seen = Seen(json.loads(gateway.answer(f"/v1/customers/{customer}").body))
    for kind, path in LISTS.items():
        seen.things[kind] = [] if seen.customer.get("deleted") else list(_listed(gateway, path.format(customer)))
        for thing in seen.things[kind]:
            if thing["object"] in _PATHS:
                seen.answers[f"/v1/{_PATHS[thing['object']]}/{thing['id']}"] = Answer(200, json.dumps(thing))
    seen.answers[f"/v1/customers/{customer}"] = Answer(200, json.dumps(seen.customer))
    return seen


def customer_write(seen: Seen) -> None:
    """What is the same as before is left alone, and what Stripe does not have any more is deleted. In a transaction of
    the caller's. Raises AnswerMissing.
    """
    with _answering(seen.answers):
        _write(models.Customer, [seen.customer])
        for kind, things in seen.things.items():
            model = getattr(models, kind)
            _write(model, things)
            kept = [thing["id"] for thing in things]
            model.objects.filter(customer_id=seen.customer["id"]).exclude(id__in=kept).delete()


def customer_forget(customer: str) -> int:
    """Everything that dj-stripe's tables hold of a customer. Returns how many rows went."""
    gone = 0
    for model in apps.get_app_config("djstripe").get_models():
        names = {held.name for held in model._meta.concrete_fields if held.is_relation}  # noqa: SLF001
        if "customer" in names:
            gone += model._default_manager.filter(customer__id=customer).delete()[0]  # noqa: SLF001
    return gone + int(models.Customer.objects.filter(id=customer).delete()[0])


def _listed(gateway: StripeGateway, path: str) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        page = json.loads(gateway.answer(path + after).body)
        yield from page["data"]
        if not page["has_more"]:
            return
        after = f"&starting_after={page['data'][-1]['id']}"


def _write(model: Any, things: list[dict[str, Any]]) -> None:
    known = dict(model.objects.filter(id__in=[thing["id"] for thing in things]).values_list("id", "stripe_data"))
    for thing in things:
        held = known.get(thing["id"], {})
        if any(held.get(name, held) != value for name, value in thing.items()):
            model.sync_from_stripe_data(model.stripe_class.construct_from(thing, _NO_KEY), api_key=_NO_KEY)


class _Answers(stripe.HTTPClient):
    """Stands where dj-stripe would reach for the network."""

    name = "answers"

    def request_with_retries(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None, *_: Any, **__: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        assert method == "get", "the mirror changes nothing"
        held = _held.get()
        answer = held.get(path) or held.get(parts.path)
        if answer is None:
            raise AnswerMissing(path)
        return answer.body, answer.status, {}


_held: ContextVar[Mapping[str, Answer]] = ContextVar("answers")
stripe.default_http_client = _Answers()


@contextmanager
def _answering(answers: Mapping[str, Answer]) -> Iterator[None]:
    token = _held.set(answers)
    try:
        yield
    finally:
        _held.reset(token)


def _no_owner(cls: type, data: Any, api_key: str | None = None, livemode: bool | None = None) -> None:  # noqa: FBT001
    """There is one account. dj-stripe would keep the secret key in a table to know whose things are."""


StripeModel._find_owner_account = classmethod(_no_owner)  # noqa: SLF001
