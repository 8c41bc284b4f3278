"""Changes of subscriptions beyond the plain upgrade, and the objects around them."""

from datetime import UTC, datetime

import pytest
import stripe

from tests.billing.sandbox.rig import DAY, HOUR, START

FEBRUARY = START + 31 * DAY


def share(cents, part, whole):
    return (2 * cents * part + whole) // (2 * whole)


def latest(shop, subscription):
    return shop.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]}).latest_invoice


def amounts(invoice):
    return sorted(line.amount for line in invoice.lines.data)


def items(subscription):
    return {item.price.id: item for item in subscription["items"].data}


def pending(shop, customer):
    return sorted(one.amount for one in shop.v1.invoice_items.list({"customer": customer.id, "pending": True}).data)


def test_ending_a_trial_now_starts_the_first_period_and_charges_it(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, trial_period_days=14)
    shop.use(customer, 1_000_000)
    shop.advance(START + 3 * DAY)
    ended = shop.v1.subscriptions.update(subscription.id, {"trial_end": "now"})
    invoice = latest(shop, subscription)
    assert (ended.status, amounts(invoice), invoice.status) == ("active", [4_900], "paid")
    assert ended["items"].data[0].current_period_end == int(datetime(2026, 2, 4, tzinfo=UTC).timestamp())
    shop.advance(int(datetime(2026, 2, 4, 2, tzinfo=UTC).timestamp()))
    assert amounts(latest(shop, subscription)) == [0, 4_900]


def test_a_trial_can_be_made_longer(shop):
    subscription = shop.subscribe(shop.customer(), trial_period_days=14)
    shop.v1.subscriptions.update(subscription.id, {"trial_end": START + 20 * DAY})
    shop.advance(START + 19 * DAY)
    assert shop.status(subscription) == "trialing"
    shop.advance(START + 20 * DAY + 2 * HOUR)
    assert shop.status(subscription) == "active"
    assert latest(shop, subscription).total == 4_900


def test_a_change_in_a_trial_costs_nothing_until_it_ends(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, trial_period_days=14)
    shop.advance(START + 3 * DAY)
    base = items(subscription)[shop.base.id].id
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": base, "price": shop.pro.id}]})
    assert pending(shop, customer) == []
    shop.advance(START + 14 * DAY + 2 * HOUR)
    assert amounts(latest(shop, subscription)) == [19_900]


def test_an_item_can_be_added_changed_and_removed_by_itself(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.base)
    extra = shop.price(1_000)
    shop.advance(START + 10 * DAY)
    added = shop.v1.subscription_items.create({"subscription": subscription.id, "price": extra.id, "quantity": 2})
    first = share(2_000, 21, 31)
    assert pending(shop, customer) == [first]
    shop.advance(START + 20 * DAY)
    shop.v1.subscription_items.update(added.id, {"quantity": 3})
    second = share(3_000, 11, 31)
    assert pending(shop, customer) == sorted([first, -share(first, 11, 21), second])
    shop.advance(START + 25 * DAY)
    assert shop.v1.subscription_items.delete(added.id).deleted is True
    assert pending(shop, customer) == sorted([first, -share(first, 11, 21), second, -share(second, 6, 11)])
    shop.advance(FEBRUARY + 2 * HOUR)
    assert 4_900 in amounts(latest(shop, subscription))
    listed = shop.v1.subscription_items.list({"subscription": subscription.id})
    assert [item.price.id for item in listed.data] == [shop.base.id]


def test_the_last_item_cannot_be_removed(shop):
    subscription = shop.subscribe(shop.customer(), shop.base)
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.subscription_items.delete(subscription["items"].data[0].id)
    assert len(shop.v1.subscription_items.list({"subscription": subscription.id}).data) == 1


def test_from_free_to_paid_starts_a_period_now(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.price(0))
    shop.advance(START + 10 * DAY)
    item = subscription["items"].data[0].id
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": shop.base.id}]})
    invoice = latest(shop, subscription)
    assert (invoice.total, invoice.status, invoice.billing_reason) == (4_900, "paid", "subscription_update")


def test_another_interval_starts_a_year_now_and_credits_the_month(shop):
    subscription = shop.subscribe(shop.customer(), shop.base)
    yearly = shop.price(49_000, "year")
    shop.advance(START + 10 * DAY)
    item = subscription["items"].data[0].id
    changed = shop.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": yearly.id}]})
    assert amounts(latest(shop, subscription)) == [-share(4_900, 21, 31), 49_000]
    assert changed["items"].data[0].current_period_end == START + 375 * DAY


def test_an_upgrade_that_cannot_be_paid_changes_nothing_when_asked_so(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.base)
    shop.card(customer, "pm_card_chargeCustomerFail")
    shop.advance(START + DAY)
    change = {
        "items": [{"id": subscription["items"].data[0].id, "price": shop.pro.id}],
        "proration_behavior": "always_invoice",
    }
    with pytest.raises(stripe.CardError):
        shop.v1.subscriptions.update(subscription.id, {**change, "payment_behavior": "error_if_incomplete"})
    assert list(items(shop.v1.subscriptions.retrieve(subscription.id))) == [shop.base.id]
    assert pending(shop, customer) == []
    assert len(shop.invoices(customer)) == 1
    changed = shop.v1.subscriptions.update(subscription.id, change)
    assert (changed.status, list(items(changed))) == ("past_due", [shop.pro.id])


def test_a_proration_date_makes_the_preview_come_true_later(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.base)
    moment = START + 10 * DAY
    shop.advance(moment)
    said = {
        "items": [{"id": subscription["items"].data[0].id, "price": shop.pro.id}],
        "proration_behavior": "always_invoice",
        "proration_date": moment,
    }
    preview = shop.v1.invoices.create_preview({"subscription": subscription.id, "subscription_details": said})
    shop.advance(moment + 600)
    shop.v1.subscriptions.update(subscription.id, said)
    assert amounts(latest(shop, subscription)) == amounts(preview)


def test_cancel_at_a_time_bills_the_usage_then(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.use(customer, 100_000)
    shop.v1.subscriptions.update(subscription.id, {"cancel_at": START + 10 * DAY})
    shop.advance(START + 10 * DAY)
    assert shop.status(subscription) == "canceled"
    assert amounts(shop.invoices(customer)[-1]) == [500]


def test_a_canceled_subscription_takes_metadata_only(shop):
    subscription = shop.subscribe(shop.customer(), shop.base)
    shop.v1.subscriptions.cancel(subscription.id, {"cancellation_details": {"feedback": "unused"}})
    kept = shop.v1.subscriptions.update(subscription.id, {"metadata": {"why": "test"}})
    assert (kept.metadata["why"], kept.cancellation_details.feedback) == ("test", "unused")
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.subscriptions.cancel(subscription.id)


def test_a_paused_trial_is_resumed_with_a_card(shop):
    customer = shop.customer(card=None)
    subscription = shop.subscribe(
        customer, trial_period_days=14, trial_settings={"end_behavior": {"missing_payment_method": "pause"}}
    )
    shop.advance(START + 15 * DAY)
    shop.card(customer, "pm_card_visa")
    shop.v1.subscriptions.resume(subscription.id, {"billing_cycle_anchor": "now"})
    assert shop.status(subscription) == "active"
    assert latest(shop, subscription).total == 4_900


def test_discounts_can_be_taken_off_again_and_prorations_know_them(shop):
    customer = shop.customer()
    coupon = shop.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    subscription = shop.subscribe(customer, shop.base, discounts=[{"coupon": coupon.id}])
    assert latest(shop, subscription).total == 2_450
    shop.advance(START + 10 * DAY)
    item = subscription["items"].data[0].id
    shop.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": shop.pro.id}]})
    assert pending(shop, customer) == [-share(2_450, 21, 31), share(9_950, 21, 31)]
    assert shop.v1.subscriptions.update(subscription.id, {"discounts": ""}).discounts == []
    shop.advance(FEBRUARY + 2 * HOUR)
    assert 19_900 in amounts(latest(shop, subscription))
    assert latest(shop, subscription).total_discount_amounts == []


def test_coupons_run_out(shop):
    coupon = shop.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "once", "max_redemptions": 1})
    first = shop.subscribe(shop.customer(), shop.base, discounts=[{"coupon": coupon.id}])
    assert latest(shop, first).total == 4_400
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.subscribe(shop.customer(), shop.base, discounts=[{"coupon": coupon.id}])
    assert refused.value.code == "coupon_expired"


def test_a_deleted_customer_has_no_subscription_and_keeps_its_invoices(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.v1.customers.delete(customer.id)
    assert shop.v1.customers.retrieve(customer.id).deleted is True
    assert shop.status(subscription) == "canceled"
    assert len(shop.invoices(customer)) == 1
    with pytest.raises(stripe.InvalidRequestError):
        shop.subscribe(customer)
    shop.advance(FEBRUARY + 2 * HOUR)
    assert len(shop.invoices(customer)) == 1


def test_a_deleted_clock_takes_its_customers_along(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.v1.test_helpers.test_clocks.delete(shop.clock.id)
    assert shop.v1.customers.retrieve(customer.id).deleted is True
    assert shop.status(subscription) == "canceled"


def test_tax_ids_are_on_the_invoices_that_follow(shop):
    customer = shop.customer()
    kept = shop.v1.customers.tax_ids.create(customer.id, {"type": "eu_vat", "value": "DE123456789"})
    gone = shop.v1.customers.tax_ids.create(customer.id, {"type": "us_ein", "value": "12-3456789"})
    assert shop.v1.customers.tax_ids.delete(customer.id, gone.id).deleted is True
    subscription = shop.subscribe(customer)
    assert [(one.type, one.value) for one in latest(shop, subscription).customer_tax_ids] == [("eu_vat", "DE123456789")]
    assert kept.country == "DE"


def test_lookup_keys_move_only_when_told_to(shop):
    key = f"plan-{shop.clock.id}"
    said = {"product": shop.product.id, "currency": "usd", "recurring": {"interval": "month"}, "lookup_key": key}
    first = shop.v1.prices.create({**said, "unit_amount": 100})
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.prices.create({**said, "unit_amount": 200})
    second = shop.v1.prices.create({**said, "unit_amount": 200, "transfer_lookup_key": True})
    assert [price.id for price in shop.v1.prices.list({"lookup_keys": [key]}).data] == [second.id]
    assert shop.v1.prices.retrieve(first.id).lookup_key is None


def test_inactive_prices_and_one_time_prices_make_no_subscription(shop):
    once = shop.v1.prices.create({"product": shop.product.id, "currency": "usd", "unit_amount": 100})
    gone = shop.price(100)
    shop.v1.prices.update(gone.id, {"active": False})
    for price in (once, gone):
        with pytest.raises(stripe.InvalidRequestError):
            shop.subscribe(shop.customer(), price)
    with pytest.raises(stripe.InvalidRequestError, match="quantity"):
        shop.v1.subscriptions.create(
            {"customer": shop.customer().id, "items": [{"price": shop.over.id, "quantity": 2}]}
        )


def test_only_unused_products_can_be_deleted(shop):
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.products.delete(shop.product.id)
    free = shop.v1.products.create({"name": "Nothing"})
    assert shop.v1.products.update(free.id, {"name": "Something"}).name == "Something"
    assert list(shop.v1.products.features.list(free.id).data) == []
    assert shop.v1.products.delete(free.id).deleted is True


def test_drafts_by_hand_can_be_deleted_and_pending_items_changed(shop):
    customer = shop.customer()
    item = shop.v1.invoice_items.create({"customer": customer.id, "amount": 100, "currency": "usd"})
    assert shop.v1.invoice_items.update(item.id, {"amount": 150}).amount == 150
    draft = shop.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert draft.total == 150
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.invoice_items.delete(item.id)
    assert shop.v1.invoices.delete(draft.id).deleted is True
    assert pending(shop, customer) == []


def test_a_setting_by_hand_keeps_an_invoice_a_draft(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.advance(FEBRUARY)
    draft = latest(shop, subscription)
    shop.v1.invoices.update(draft.id, {"auto_advance": False})
    shop.advance(FEBRUARY + 5 * DAY)
    assert shop.v1.invoices.retrieve(draft.id).status == "draft"
    final = shop.v1.invoices.finalize_invoice(draft.id, {"auto_advance": True})
    assert final.status == "paid"


def test_more_than_ten_lines_are_read_by_page(shop):
    customer = shop.customer()
    for number in range(12):
        shop.v1.invoice_items.create({"customer": customer.id, "amount": 100 + number, "currency": "usd"})
    draft = shop.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert (len(draft.lines.data), draft.lines.has_more) == (10, True)
    lines = shop.v1.invoices.line_items.list(draft.id, {"limit": 5}).auto_paging_iter()
    assert [line.amount for line in lines] == [100 + number for number in range(12)]


def test_two_accounts_of_money_do_not_mix(shop):
    customer = shop.customer()
    shop.subscribe(customer)
    with pytest.raises(stripe.InvalidRequestError, match="currencies"):
        shop.v1.customers.balance_transactions.create(customer.id, {"amount": -1, "currency": "eur"})
