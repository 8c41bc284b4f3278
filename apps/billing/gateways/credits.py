"""Money that staff give back: as credit for invoices to come, or of an invoice that was made."""

from typing import TYPE_CHECKING, Any, cast

from apps.billing.gateways.errors import told_apart
from apps.billing.money import CURRENCY

if TYPE_CHECKING:
    import stripe

GIVING = "giving"  # the key in our metadata that names the row which it is for


class Credits:
    def __init__(self, client: "stripe.StripeClient") -> None:
        self._client = client

    def credit(self, customer: str, *, cents: int, reason: str, reference: str) -> str:
        """Onto the customer's balance, which invoices to come use first. Returns its id; what has the reference
        already is not given again. Raises StripeUnknown, StripeRefused.
        """
        with told_apart():
            known = self._client.v1.customers.balance_transactions.list(customer, {"limit": 100})
            for one in known.auto_paging_iter():
                if _reference_of(one) == reference:
                    return one.id
            given = {
                "amount": -cents,
                "currency": CURRENCY,
                "description": reason,
                "metadata": {GIVING: reference},
            }
            key = {"idempotency_key": f"giving-{reference}"}
            made = self._client.v1.customers.balance_transactions.create(customer, cast("Any", given), cast("Any", key))
        return made.id

    def refund(self, invoice: str, *, cents: int, reason: str, reference: str) -> str:
        """Of an invoice: to the card that paid it, or off what is still owed. Returns the credit note's id; what has
        the reference already is not given again. Raises StripeUnknown, StripeRefused.
        """
        with told_apart():
            for one in self._client.v1.credit_notes.list({"invoice": invoice, "limit": 100}).auto_paging_iter():
                if _reference_of(one) == reference:
                    return one.id
            note: dict[str, Any] = {
                "invoice": invoice,
                "amount": cents,
                "memo": reason,
                "metadata": {GIVING: reference},
            }
            if self._client.v1.invoices.retrieve(invoice).status == "paid":
                note["refund_amount"] = cents
            made = self._client.v1.credit_notes.create(
                cast("Any", note), cast("Any", {"idempotency_key": f"giving-{reference}"})
            )
        return made.id


def _reference_of(one: "stripe.CreditNote | stripe.CustomerBalanceTransaction") -> str | None:
    metadata = one.metadata
    return metadata[GIVING] if metadata and GIVING in metadata else None
