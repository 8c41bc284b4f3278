"""What is billed when: fees in advance, usage in arrears, changes to the second, previews that come true."""

from datetime import UTC, datetime

import pytest
import stripe

from tests.billing.sandbox.rig import DAY, HOUR, START


def at(year, month, day=1, hour=0):
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


def amounts(invoice):
    return sorted(line.amount for line in invoice.lines.data)


def test_a_year_has_thirteen_invoices_and_each_bills_last_months_usage(shop):
    customer = shop.customer()
    shop.subscribe(customer)
    for month in range(1, 13):
        shop.use(customer, 100_300 * month, f"month-{month}")
        shop.advance(at(2026 + month // 12, month % 12 + 1, 1, 2))
    invoices = shop.invoices(customer)
    assert [invoice.total for invoice in invoices] == [4_900] + [
        4_900 + (100_300 * month * 5 + 500) // 1_000 for month in range(1, 13)
    ]
    assert {invoice.status for invoice in invoices} == {"paid"}
    assert [int(invoice.number[-4:]) for invoice in invoices] == list(range(1, 14))


def test_a_renewal_is_a_draft_for_an_hour_and_takes_usage_that_comes_late(shop):
    customer = shop.customer()
    shop.subscribe(customer)
    shop.advance(at(2026, 2) + 60)
    draft = shop.invoices(customer)[-1]
    assert (draft.status, draft.total, draft.billing_reason) == ("draft", 4_900, "subscription_cycle")
    assert draft.automatically_finalizes_at == at(2026, 2) + HOUR
    shop.use(customer, 1_000_000, at=at(2026, 1, 31, 23))
    assert shop.v1.invoices.retrieve(draft.id).total == 9_900
    shop.use(customer, 1_000_000, at=at(2026, 2) + 30)
    shop.advance(at(2026, 2) + HOUR)
    final = shop.v1.invoices.retrieve(draft.id)
    assert (final.status, final.total, amounts(final)) == ("paid", 9_900, [4_900, 5_000])
    assert (final.period_start, final.period_end) == (START, at(2026, 2))


def test_finalization_waits_as_long_as_it_is_told(shop):
    customer = shop.customer()
    shop.subscribe(customer)
    shop.advance(at(2026, 2) + 60)
    draft = shop.invoices(customer)[-1]
    shop.v1.invoices.update(draft.id, {"automatically_finalizes_at": at(2026, 2, 1, 6)})
    shop.advance(at(2026, 2, 1, 6) - 1)
    assert shop.v1.invoices.retrieve(draft.id).status == "draft"
    shop.advance(at(2026, 2, 1, 6))
    assert shop.v1.invoices.retrieve(draft.id).status == "paid"


def test_months_end_on_their_last_day(shop):
    shop.advance(at(2026, 1, 31, 12))
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    ends = []
    for month in (2, 3, 4):
        ends.append(shop.v1.subscriptions.retrieve(subscription.id)["items"].data[0].current_period_end)
        shop.advance(at(2026, month + 1, 3))
    assert ends == [at(2026, 2, 28, 12), at(2026, 3, 31, 12), at(2026, 4, 30, 12)]


def test_an_upgrade_is_prorated_to_the_second_and_invoiced_next(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.base)
    moment = START + 10 * DAY + 1
    shop.advance(moment)
    item = subscription["items"].data[0].id
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": shop.pro.id}]})
    left, whole = at(2026, 2) - moment, at(2026, 2) - START
    credit, debit = (2 * 4_900 * left + whole) // (2 * whole), (2 * 19_900 * left + whole) // (2 * whole)
    pending = shop.v1.invoice_items.list({"customer": customer.id, "pending": True}).data
    assert sorted(one.amount for one in pending) == [-credit, debit]
    shop.advance(at(2026, 2, 1, 2))
    assert amounts(shop.invoices(customer)[-1]) == [-credit, debit, 19_900]


def test_a_second_change_credits_what_was_really_debited(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.base)
    item = subscription["items"].data[0].id
    shop.advance(START + 10 * DAY)
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": shop.pro.id}]})
    shop.advance(START + 20 * DAY)
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": shop.base.id}]})
    pending = shop.v1.invoice_items.list({"customer": customer.id, "pending": True}).data[::-1]
    half_up = lambda cents, part, whole: (2 * cents * part + whole) // (2 * whole)
    debit = half_up(19_900, 21, 31)
    assert [one.amount for one in pending] == [
        -half_up(4_900, 21, 31),
        debit,
        -half_up(debit, 11, 21),
        half_up(4_900, 11, 31),
    ]


def test_always_invoice_charges_the_difference_at_once(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.base)
    shop.advance(at(2026, 1, 16, 12))
    item = subscription["items"].data[0].id
    changed = shop.v1.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item, "price": shop.pro.id}],
            "proration_behavior": "always_invoice",
            "expand": ["latest_invoice"],
        },
    )
    assert changed.latest_invoice.status == "paid"
    assert changed.latest_invoice.billing_reason == "subscription_update"
    assert changed.latest_invoice.total == 9_950 - 2_450


def test_a_new_cycle_now_bills_a_whole_period_and_the_usage_so_far(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.use(customer, 1_000_000)
    shop.advance(at(2026, 1, 16, 12))
    base, over = subscription["items"].data
    changed = shop.v1.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": base.id, "price": shop.pro.id}],
            "billing_cycle_anchor": "now",
            "expand": ["latest_invoice"],
        },
    )
    assert amounts(changed.latest_invoice) == [-2_450, 5_000, 19_900]
    assert {item.current_period_end for item in changed["items"].data} == {at(2026, 2, 16, 12)}
    assert {item.id for item in changed["items"].data} == {base.id, over.id}


def test_without_proration_only_the_price_changes(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.base)
    shop.advance(START + 10 * DAY)
    item = subscription["items"].data[0].id
    shop.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item, "price": shop.pro.id}], "proration_behavior": "none"}
    )
    shop.advance(at(2026, 2, 1, 2))
    assert [invoice.total for invoice in shop.invoices(customer)] == [4_900, 19_900]


def test_usage_of_a_metered_price_that_goes_is_invoiced_at_the_old_price(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.use(customer, 100_000)
    shop.advance(START + 10 * DAY)
    over = subscription["items"].data[1].id
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": over, "price": shop.over_pro.id}]})
    shop.use(customer, 100_000)
    shop.advance(at(2026, 2, 1, 2))
    assert amounts(shop.invoices(customer)[-1]) == [300, 500, 4_900]


def test_a_downgrade_to_fewer_usage_than_nothing_bills_nothing(shop):
    customer = shop.customer()
    shop.subscribe(customer)
    shop.use(customer, 500)
    shop.use(customer, -800)
    shop.advance(at(2026, 2, 1, 2))
    invoice = shop.invoices(customer)[-1]
    assert (invoice.lines.data[0].quantity, invoice.lines.data[0].amount) == (0, 0)
    assert invoice.total == 4_900


PREVIEWS = {
    "as it is": {},
    "with an upgrade": {"subscription_details": {"items": [{"price": "pro"}]}},
    "with an upgrade now": {"subscription_details": {"items": [{"price": "pro"}], "billing_cycle_anchor": "now"}},
    "with an upgrade charged at once": {
        "subscription_details": {"items": [{"price": "pro"}], "proration_behavior": "always_invoice"}
    },
    "at the end": {"subscription_details": {"cancel_at_period_end": True}},
}


@pytest.mark.parametrize("details", PREVIEWS.values(), ids=PREVIEWS)
def test_a_preview_is_the_invoice_that_follows(shop, details):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.use(customer, 123_457)
    shop.v1.invoice_items.create({"customer": customer.id, "amount": -77, "currency": "usd"})
    shop.advance(START + 12 * DAY + 12_345)
    said = dict(details.get("subscription_details", {}))
    if "items" in said:
        said["items"] = [{"id": subscription["items"].data[0].id, "price": shop.pro.id}]
    before = len(shop.invoices(customer))
    preview = shop.v1.invoices.create_preview(
        {"subscription": subscription.id, **({"subscription_details": said} if said else {})}
    )
    assert preview.status == "draft"
    assert len(shop.invoices(customer)) == before
    if said:
        shop.v1.subscriptions.update(subscription.id, said)
    shop.advance(at(2026, 2, 1, 2))
    real = shop.invoices(customer)[before]
    assert [(line.description, line.amount, line.quantity) for line in real.lines.data] == [
        (line.description, line.amount, line.quantity) for line in preview.lines.data
    ]
    assert (real.total, real.amount_due) == (preview.total, preview.amount_due)


def test_a_new_subscription_can_be_previewed(shop):
    customer = shop.customer()
    preview = shop.v1.invoices.create_preview(
        {"customer": customer.id, "subscription_details": {"items": [{"price": shop.pro.id}]}}
    )
    assert preview.total == 19_900
    assert shop.v1.subscriptions.list({"customer": customer.id}).data == []


def test_coupons_come_off_once_for_some_months_or_for_ever(shop):
    totals = {}
    for duration, more in (("once", {}), ("repeating", {"duration_in_months": 2}), ("forever", {})):
        coupon = shop.v1.coupons.create({"percent_off": 33.33, "duration": duration, **more})
        customer = shop.customer()
        shop.subscribe(customer, shop.base, discounts=[{"coupon": coupon.id}])
        totals[duration] = customer
    shop.advance(at(2026, 4, 1, 2))
    reduced = 4_900 - 1_633
    assert [invoice.total for invoice in shop.invoices(totals["once"])] == [reduced, 4_900, 4_900, 4_900]
    assert [invoice.total for invoice in shop.invoices(totals["repeating"])] == [reduced, reduced, 4_900, 4_900]
    assert [invoice.total for invoice in shop.invoices(totals["forever"])] == [reduced] * 4


def test_credit_pays_before_the_card_does(shop):
    customer = shop.customer()
    shop.v1.customers.balance_transactions.create(customer.id, {"amount": -6_000, "currency": "usd"})
    shop.subscribe(customer, shop.base)
    shop.advance(at(2026, 2, 1, 2))
    first, second = shop.invoices(customer)
    assert [(one.total, one.amount_due, one.starting_balance, one.ending_balance) for one in (first, second)] == [
        (4_900, 0, -6_000, -1_100),
        (4_900, 3_800, -1_100, 0),
    ]
    assert second.amount_paid == 3_800


def test_a_bill_too_small_to_charge_is_carried_to_the_next(shop):
    customer = shop.customer()
    shop.v1.invoice_items.create({"customer": customer.id, "amount": 49, "currency": "usd"})
    small = shop.v1.invoices.create(
        {"customer": customer.id, "pending_invoice_items_behavior": "include", "auto_advance": True}
    )
    small = shop.v1.invoices.finalize_invoice(small.id)
    assert (small.status, small.amount_due, small.ending_balance) == ("paid", 0, 49)
    subscription = shop.subscribe(customer, shop.base, expand=["latest_invoice"])
    assert subscription.latest_invoice.amount_due == 4_949


def test_a_trial_costs_nothing_and_its_usage_neither(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, trial_period_days=14)
    assert subscription.status == "trialing"
    shop.use(customer, 10_000_000)
    shop.advance(START + 14 * DAY + 2 * HOUR)
    first, second = shop.invoices(customer)
    assert (first.total, first.status) == (0, "paid")
    assert (second.total, second.status) == (4_900, "paid")
    assert shop.status(subscription) == "active"
    kinds = [
        event.type
        for event in shop.v1.events.list({"limit": 100, "types": ["customer.subscription.trial_will_end"]}).data
    ]
    assert "customer.subscription.trial_will_end" in kinds


def test_a_trial_without_a_card_ends_as_it_was_told(shop):
    ended = shop.subscribe(
        shop.customer(card=None),
        trial_period_days=14,
        trial_settings={"end_behavior": {"missing_payment_method": "cancel"}},
    )
    paused = shop.subscribe(
        shop.customer(card=None),
        trial_period_days=14,
        trial_settings={"end_behavior": {"missing_payment_method": "pause"}},
    )
    shop.advance(START + 15 * DAY)
    assert (shop.status(ended), shop.status(paused)) == ("canceled", "paused")


def test_an_anchor_ahead_bills_the_part_before_it(shop):
    customer = shop.customer()
    anchor = at(2026, 1, 16)
    shop.subscribe(customer, shop.base, billing_cycle_anchor=anchor)
    shop.advance(anchor + 2 * HOUR)
    part = (2 * 4_900 * 15 + 31) // (2 * 31)
    assert [invoice.total for invoice in shop.invoices(customer)] == [part, 4_900]


def test_canceling_at_the_end_bills_the_last_usage_and_stops(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.use(customer, 100_000)
    shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    shop.advance(at(2026, 4))
    assert shop.status(subscription) == "canceled"
    assert [(one.total, one.status) for one in shop.invoices(customer)] == [(4_900, "paid"), (500, "paid")]


def test_canceling_now_bills_usage_and_credits_time_only_when_asked(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.use(customer, 100_000)
    shop.advance(at(2026, 1, 16, 12))
    shop.v1.subscriptions.cancel(subscription.id, {"invoice_now": True, "prorate": True})
    last = shop.invoices(customer)[-1]
    assert amounts(last) == [-2_450, 500]
    assert (last.status, last.amount_due) == ("paid", 0)
    assert shop.v1.customers.retrieve(customer.id).balance == -1_950


def test_an_invoice_by_hand_goes_from_draft_to_void(shop):
    customer = shop.customer()
    draft = shop.v1.invoices.create({"customer": customer.id, "description": "Set-up"})
    shop.v1.invoice_items.create(
        {"customer": customer.id, "invoice": draft.id, "unit_amount_decimal": "0.5", "quantity": 5_001}
    )
    assert shop.v1.invoices.retrieve(draft.id).total == 2_501
    final = shop.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
    assert final.status == "open"
    assert shop.v1.invoices.void_invoice(draft.id).status == "void"
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.invoices.pay(draft.id)


def test_an_uncollectible_invoice_can_still_be_paid(shop):
    customer = shop.customer()
    draft = shop.v1.invoices.create({"customer": customer.id})
    shop.v1.invoice_items.create({"customer": customer.id, "invoice": draft.id, "amount": 700, "currency": "usd"})
    shop.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
    assert shop.v1.invoices.mark_uncollectible(draft.id).status == "uncollectible"
    assert shop.v1.invoices.pay(draft.id).status == "paid"
