"""What Stripe has charged a customer for, and lines of our own on its invoices."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from apps.billing.gateways.errors import told_apart
from apps.billing.money import CURRENCY
from apps.plans.periods import hour_of

if TYPE_CHECKING:
    import stripe

PERIOD = "period"  # the key on a line of an invoice that names the billing period which it is for
REFERENCE = "reference"  # the key on what corrects a period; nothing is corrected twice under one
_DAY = timedelta(days=1)


class Extra(StrEnum):
    """What our own lines on an invoice are for. Stripe prints a product's name on them."""

    UNUSED = "Unused hours of the plan before"
    OVERAGE = "Checks beyond the included ones"
    CORRECTION = "Correction of a period before"


@dataclass(frozen=True, slots=True)
class ExtraLine:
    """Cents, negative ones are given back, of the billing period [since, until)."""

    kind: Extra
    cents: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Charged:
    """Cents by the first hour of the billing period that they are for, discounts not taken off. A period in `open` has
    lines on a draft still.
    """

    cents: dict[datetime, int]
    open: frozenset[datetime]


class Charges:
    def __init__(self, client: "stripe.StripeClient") -> None:
        self._client = client

    def of(self, customer: str, *, since: datetime) -> Charged:
        """All that is for periods that began at `since` or later. Raises StripeUnknown, StripeRefused."""
        cents: dict[datetime, int] = {}
        drafts = set()
        with told_apart():
            asked = {"customer": customer, "limit": 100, "created": {"gte": int((since - _DAY).timestamp())}}
            for invoice in self._client.v1.invoices.list(cast("Any", asked)).auto_paging_iter():
                if invoice.status == "void":
                    continue
                for line in self._lines(invoice):
                    period = _period_of(line)
                    cents[period] = cents.get(period, 0) + line.amount
                    if invoice.status == "draft":
                        drafts.add(period)
            for item in self._pending(customer):
                if item.metadata and PERIOD in item.metadata:
                    period = _period_of(item)
                    cents[period] = cents.get(period, 0) + item.amount
        return Charged(cents, frozenset(drafts))

    def preview(self, subscription: str) -> int:
        """What the subscription's next invoice would come to by now, cents. Raises StripeUnknown, StripeRefused."""
        with told_apart():
            return self._client.v1.invoices.create_preview({"subscription": subscription}).total

    def drafts_hold(self, customer: str, *, grace: timedelta) -> int:
        """Keeps drafts open until so long after the period that they bill, so that late usage is on them. Returns how
        many it changed. Raises StripeUnknown, StripeRefused.
        """
        changed = 0
        with told_apart():
            drafts = self._client.v1.invoices.list({"customer": customer, "status": "draft", "limit": 100})
            for invoice in drafts.auto_paging_iter():
                wanted = int(invoice.period_end + grace.total_seconds())
                at = invoice.automatically_finalizes_at
                if invoice.id and invoice.auto_advance and at and at < wanted:
                    self._client.v1.invoices.update(invoice.id, {"automatically_finalizes_at": wanted})
                    changed += 1
        return changed

    def correct(self, customer: str, *, subscription: str, line: ExtraLine, reference: str) -> None:
        """Puts the line on the subscription's next invoice. Without a subscription a charge is invoiced at once, and a
        credit goes to what is still owed for the period, the rest to the customer's balance. Nothing happens where
        something has the reference already. Raises StripeUnknown, StripeRefused.
        """
        said = {PERIOD: line.since.isoformat(), REFERENCE: reference}
        with told_apart():
            if self._is_known(customer, reference, since=line.since):
                return
            if subscription or line.cents > 0:
                self._item(customer, subscription, line, said)
            else:
                self._credit(customer, line, said)

    def _item(self, customer: str, subscription: str, line: ExtraLine, said: dict[str, str]) -> None:
        item = {
            "customer": customer,
            "amount": line.cents,
            "currency": CURRENCY,
            "description": line.kind.value,
            "period": {"start": int(line.since.timestamp()), "end": int(line.until.timestamp())},
            "metadata": said,
        }
        if subscription:
            item["subscription"] = subscription
        key = {"idempotency_key": f"correction-{said[REFERENCE]}"}
        self._client.v1.invoice_items.create(cast("Any", item), cast("Any", key))
        if not subscription:
            invoice = {"customer": customer, "auto_advance": True, "pending_invoice_items_behavior": "include"}
            key = {"idempotency_key": f"correction-invoice-{said[REFERENCE]}"}
            self._client.v1.invoices.create(cast("Any", invoice), cast("Any", key))

    def _credit(self, customer: str, line: ExtraLine, said: dict[str, str]) -> None:
        rest = -line.cents
        owed = self._client.v1.invoices.list({"customer": customer, "status": "open", "limit": 100})
        for invoice in owed.auto_paging_iter():
            part = min(rest, invoice.amount_remaining)
            if part > 0 and any(_period_of(one) == line.since for one in self._lines(invoice)):
                note = {"invoice": invoice.id, "amount": part, "metadata": said}
                key = {"idempotency_key": f"correction-{said[REFERENCE]}-{invoice.id}"}
                self._client.v1.credit_notes.create(cast("Any", note), cast("Any", key))
                rest -= part
        if rest:
            given = {"amount": -rest, "currency": CURRENCY, "description": line.kind.value, "metadata": said}
            key = {"idempotency_key": f"correction-{said[REFERENCE]}"}
            self._client.v1.customers.balance_transactions.create(customer, cast("Any", given), cast("Any", key))

    def _is_known(self, customer: str, reference: str, *, since: datetime) -> bool:
        created = {"gte": int((since - _DAY).timestamp())}
        asked = cast("Any", {"customer": customer, "limit": 100, "created": created})
        made: Iterator[Any] = self._client.v1.invoice_items.list(asked).auto_paging_iter()
        given: Iterator[Any] = self._client.v1.customers.balance_transactions.list(
            customer, {"limit": 100}
        ).auto_paging_iter()
        return any(
            one.metadata and REFERENCE in one.metadata and one.metadata[REFERENCE] == reference
            for one in chain(made, given)
        )

    def _pending(self, customer: str) -> "Iterator[stripe.InvoiceItem]":
        asked = {"customer": customer, "pending": True, "limit": 100}
        return iter(self._client.v1.invoice_items.list(cast("Any", asked)).auto_paging_iter())

    def _lines(self, invoice: "stripe.Invoice") -> "Iterator[stripe.InvoiceLineItem]":
        """An invoice carries its first ones."""
        if not invoice.lines.has_more:
            return iter(invoice.lines.data)
        assert invoice.id
        return iter(self._client.v1.invoices.line_items.list(invoice.id, {"limit": 100}).auto_paging_iter())


def product_ensure(client: "stripe.StripeClient", kind: Extra) -> str:
    """Its id, which we choose; made by whoever comes first. Raises what Stripe's library raises."""
    import stripe

    ident = f"ratelimiter-{kind.name.lower()}"
    try:
        client.v1.products.create({"id": ident, "name": kind.value})
    except stripe.InvalidRequestError as error:
        if error.code != "resource_already_exists":
            raise
    return ident


def _period_of(line: "stripe.InvoiceLineItem | stripe.InvoiceItem") -> datetime:
    """The first hour of the billing period. What Stripe charges by itself begins within it."""
    metadata = line.metadata
    if metadata and PERIOD in metadata:
        return datetime.fromisoformat(metadata[PERIOD])
    return hour_of(datetime.fromtimestamp(line.period.start, UTC))
