"""Schedules: a change that waits for the end of the period."""

import pytest
import stripe

from tests.billing.sandbox.rig import DAY, HOUR, START

FEBRUARY, MARCH, APRIL = START + 31 * DAY, START + 59 * DAY, START + 90 * DAY


def downgrade(shop, subscription, **more):
    """From Professional to Startup when the period ends."""
    schedule = shop.v1.subscription_schedules.create({"from_subscription": subscription.id})
    now = [{"price": price.id} for price in (shop.pro, shop.over_pro)]
    then = [{"price": price.id} for price in (shop.base, shop.over)]
    phase = schedule.phases[0]
    return shop.v1.subscription_schedules.update(
        schedule.id,
        {
            "phases": [
                {"items": now, "start_date": phase.start_date, "end_date": phase.end_date},
                {"items": then, "proration_behavior": "none"},
            ],
            **more,
        },
    )


def prices(shop, subscription):
    items = shop.v1.subscriptions.retrieve(subscription.id)["items"].data
    return sorted(item.price.id for item in items)


def test_a_downgrade_waits_and_bills_old_usage_at_the_old_price(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.pro, shop.over_pro)
    shop.use(customer, 100_000)
    schedule = downgrade(shop, subscription)
    assert shop.v1.subscriptions.retrieve(subscription.id).schedule == schedule.id
    preview = shop.v1.invoices.create_preview({"subscription": subscription.id})
    assert sorted(line.amount for line in preview.lines.data) == [300, 4_900]
    shop.advance(FEBRUARY - 1)
    assert prices(shop, subscription) == sorted([shop.pro.id, shop.over_pro.id])
    shop.advance(FEBRUARY)
    assert prices(shop, subscription) == sorted([shop.base.id, shop.over.id])
    shop.use(customer, 100_000)
    shop.advance(MARCH + 2 * HOUR)
    invoices = shop.invoices(customer)
    assert [sorted(line.amount for line in invoice.lines.data) for invoice in invoices] == [
        [19_900],
        [300, 4_900],
        [500, 4_900],
    ]


def test_after_its_last_phase_the_schedule_lets_go(shop):
    subscription = shop.subscribe(shop.customer(), shop.pro, shop.over_pro)
    schedule = downgrade(shop, subscription)
    shop.advance(FEBRUARY + DAY)
    current = shop.v1.subscription_schedules.retrieve(schedule.id)
    assert (current.status, current.current_phase.start_date) == ("active", FEBRUARY)
    shop.advance(MARCH + DAY)
    assert shop.v1.subscription_schedules.retrieve(schedule.id).status == "completed"
    alone = shop.v1.subscriptions.retrieve(subscription.id)
    assert (alone.status, alone.schedule) == ("active", None)


def test_a_schedule_may_end_the_subscription(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, shop.pro, shop.over_pro)
    downgrade(shop, subscription, end_behavior="cancel")
    shop.advance(APRIL)
    assert shop.status(subscription) == "canceled"
    assert [invoice.total for invoice in shop.invoices(customer)] == [19_900, 4_900, 0]


def test_a_released_schedule_changes_nothing(shop):
    subscription = shop.subscribe(shop.customer(), shop.pro, shop.over_pro)
    schedule = downgrade(shop, subscription)
    assert shop.v1.subscription_schedules.release(schedule.id).status == "released"
    shop.advance(FEBRUARY + DAY)
    assert prices(shop, subscription) == sorted([shop.pro.id, shop.over_pro.id])
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.subscription_schedules.release(schedule.id)


def test_canceling_either_cancels_both(shop):
    one, other = (shop.subscribe(shop.customer(), shop.pro, shop.over_pro) for _ in range(2))
    first, second = downgrade(shop, one), downgrade(shop, other)
    shop.v1.subscription_schedules.cancel(first.id)
    shop.v1.subscriptions.cancel(other.id)
    assert {shop.status(one), shop.status(other)} == {"canceled"}
    assert {shop.v1.subscription_schedules.retrieve(ident.id).status for ident in (first, second)} == {"canceled"}


def test_what_a_schedule_manages_is_not_canceled_behind_its_back(shop):
    subscription = shop.subscribe(shop.customer(), shop.pro, shop.over_pro)
    downgrade(shop, subscription)
    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError, match="already has the schedule"):
        shop.v1.subscription_schedules.create({"from_subscription": subscription.id})
