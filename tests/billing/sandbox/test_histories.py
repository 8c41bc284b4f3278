"""Random lives of a customer: whatever happens in whatever order, the books agree."""

import os
import random
from contextlib import suppress
from itertools import pairwise

import pytest
import stripe

from tests.billing.sandbox.rig import DAY, HOUR, START

HISTORIES = int(os.environ.get("SANDBOX_HISTORIES", "12"))
STEPS = 30


class Life:
    """One metered price throughout, so that every unit is to be billed once."""

    def __init__(self, shop, seed):
        self.shop, self.dice = shop, random.Random(seed)
        self.prices = [shop.base, shop.pro, shop.price(2_345), shop.price(99)]
        self.customer = shop.customer()
        self.used = 0
        coupon = shop.v1.coupons.create({"percent_off": 12.5, "duration": "repeating", "duration_in_months": 2})
        more = {"discounts": [{"coupon": coupon.id}]} if seed % 2 else {}
        self.subscription = shop.subscribe(self.customer, self.dice.choice(self.prices), shop.over, **more)

    def step(self):
        name = self.dice.choice(
            ("use", "use", "use", "change", "change", "quantity", "item", "credit", "card", "refund", "pay", "cancel")
        )
        getattr(self, name)()
        self.shop.advance(self.shop.now + self.dice.choice((1, 59, HOUR, DAY, 9 * DAY)))

    def now(self):
        return self.shop.v1.subscriptions.retrieve(self.subscription.id)

    def licensed(self):
        return next(item for item in self.now()["items"].data if item.price.id != self.shop.over.id)

    def use(self):
        units = self.dice.randrange(1, 3_000_000)
        self.used += units
        self.shop.use(self.customer, units)

    def change(self):
        said = {"items": [{"id": self.licensed().id, "price": self.dice.choice(self.prices).id}]}
        said["proration_behavior"] = self.dice.choice(("create_prorations", "always_invoice", "none"))
        if self.dice.random() < 0.3:
            said["billing_cycle_anchor"] = "now"
        self.shop.v1.subscriptions.update(self.subscription.id, said)

    def quantity(self):
        self.shop.v1.subscription_items.update(self.licensed().id, {"quantity": self.dice.randrange(1, 5)})

    def item(self):
        cents = self.dice.randrange(-5_000, 5_000)
        self.shop.v1.invoice_items.create({"customer": self.customer.id, "amount": cents, "currency": "usd"})

    def credit(self):
        cents = self.dice.randrange(-9_000, 3_000)
        self.shop.v1.customers.balance_transactions.create(self.customer.id, {"amount": cents, "currency": "usd"})

    def card(self):
        self.shop.card(self.customer, self.dice.choice(("pm_card_visa", "pm_card_chargeCustomerFail")))

    def refund(self):
        charges = self.shop.v1.charges.list({"customer": self.customer.id, "limit": 1}).data
        if charges and charges[0].paid and not charges[0].refunded:
            left = charges[0].amount - charges[0].amount_refunded
            self.shop.v1.refunds.create({"charge": charges[0].id, "amount": self.dice.randint(1, left)})

    def pay(self):
        for invoice in self.shop.invoices(self.customer, status="open"):
            with suppress(stripe.CardError):  # it stays open, then
                self.shop.v1.invoices.pay(invoice.id)

    def cancel(self):
        wanted = not self.now().cancel_at_period_end
        self.shop.v1.subscriptions.update(self.subscription.id, {"cancel_at_period_end": wanted})

    def end(self):
        self.shop.card(self.customer, "pm_card_visa")
        self.pay()
        if self.now().status != "canceled":
            self.shop.v1.subscriptions.cancel(self.subscription.id, {"invoice_now": True, "prorate": True})
        self.shop.advance(self.shop.now + 20 * DAY)
        for invoice in self.shop.invoices(self.customer, status="draft"):
            self.shop.v1.invoices.finalize_invoice(invoice.id, {"auto_advance": True})
        self.pay()


def whole(shop, kind, customer):
    return list(kind.list({"customer": customer.id, "limit": 100}).auto_paging_iter())


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_the_books_agree(shop, seed):
    life = Life(shop, seed)
    for _ in range(STEPS):
        if life.now().status == "canceled":
            break
        life.step()
    life.end()
    invoices = shop.invoices(life.customer)
    lines = {
        invoice.id: list(shop.v1.invoices.line_items.list(invoice.id, {"limit": 100}).auto_paging_iter())
        for invoice in invoices
    }
    assert {invoice.status for invoice in invoices} == {"paid"}
    for invoice in invoices:
        off = sum(one.amount for one in invoice.total_discount_amounts)
        assert invoice.subtotal == sum(line.amount for line in lines[invoice.id])
        assert off == sum(one.amount for line in lines[invoice.id] for one in line.discount_amounts)
        assert invoice.total == invoice.subtotal - off
        owed = invoice.total + invoice.starting_balance - invoice.ending_balance
        assert (invoice.amount_paid, invoice.amount_due) == (owed, owed)
    metered = [line for rows in lines.values() for line in rows if _price(line) == shop.over.id]
    assert sum(line.quantity for line in metered) == life.used
    spans = sorted((line.period.start, line.period.end) for line in metered)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert spans[0][0] == START
    pending = whole(shop, shop.v1.invoice_items, life.customer)
    taken = [ident for rows in lines.values() for line in rows if (ident := _invoice_item(line))]
    assert sorted(taken) == sorted(item.id for item in pending if item.invoice)
    charges = [charge for charge in whole(shop, shop.v1.charges, life.customer) if charge.paid]
    assert sum(charge.amount for charge in charges) == sum(invoice.amount_paid for invoice in invoices)
    booked = list(shop.v1.customers.balance_transactions.list(life.customer.id, {"limit": 100}).auto_paging_iter())
    applied = {one.invoice: one.amount for one in booked if one.type == "applied_to_invoice"}
    assert applied == {
        one.id: one.ending_balance - one.starting_balance
        for one in invoices
        if one.ending_balance != one.starting_balance
    }
    assert sum(one.amount for one in booked) == shop.v1.customers.retrieve(life.customer.id).balance
    assert [int(invoice.number[-4:]) for invoice in sorted(invoices, key=lambda one: one.number)] == list(
        range(1, len(invoices) + 1)
    )


def _price(line):
    return line.pricing.price_details.price if line.pricing else None


def _invoice_item(line):
    details = line.parent.subscription_item_details or line.parent.invoice_item_details
    return details.invoice_item
