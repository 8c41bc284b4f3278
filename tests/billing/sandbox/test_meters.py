"""Meter events: each identifier counts once, time has limits, and summaries say what was counted."""

import time

import pytest
import stripe

from tests.billing.sandbox.rig import DAY, HOUR, START, wait


def summaries(shop, customer, start=START - 40 * DAY, end=START + 40 * DAY, **more):
    return shop.v1.billing.meters.event_summaries.list(
        shop.meter.id, {"customer": customer.id, "start_time": start, "end_time": end, **more}
    ).data


def counted(shop, customer):
    return summaries(shop, customer)[0].aggregated_value


def test_an_identifier_counts_once(shop):
    customer = shop.customer(card=None)
    shop.use(customer, 5, "ledger-1")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.use(customer, 5, "ledger-1")
    assert (refused.value.http_status, refused.value.code) == (400, "duplicate_meter_event")
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        shop.use(customer, 7, "ledger-1")
    wait(lambda: counted(shop, customer) == 5)


def test_what_was_sent_shows_a_moment_later(shop):
    customer = shop.customer(card=None)
    shop.use(customer, 5)
    assert counted(shop, customer) == 0
    wait(lambda: counted(shop, customer) == 5)


@pytest.mark.parametrize(
    ("offset", "code"),
    [(-35 * DAY - 1, "timestamp_too_far_in_past"), (301, "timestamp_in_future")],
)
def test_timestamps_have_limits(shop, offset, code):
    customer = shop.customer(card=None)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.use(customer, 5, at=START + offset)
    assert refused.value.code == code


def test_the_limits_themselves_are_allowed(shop):
    customer = shop.customer(card=None)
    shop.use(customer, 2, at=START - 35 * DAY)
    shop.use(customer, 3, at=START + 300)
    wait(lambda: counted(shop, customer) == 5)


def test_hours_are_summed_apart_and_negative_values_take_back(shop):
    customer = shop.customer(card=None)
    for units, at in ((5, START), (6, START + 59), (-4, START - 1), (9, START - HOUR)):
        shop.use(customer, units, at=at)
    wait(lambda: counted(shop, customer) == 16)
    hours = summaries(shop, customer, value_grouping_window="hour", start=START - DAY, end=START + DAY)
    assert [(hour.start_time, hour.end_time, hour.aggregated_value) for hour in hours] == [
        (START, START + HOUR, 11),
        (START - HOUR, START, 5),
    ]


def test_hourly_summaries_have_pages(shop):
    customer = shop.customer(card=None)
    for hour in range(5):
        shop.use(customer, 1, at=START - hour * HOUR)
    wait(lambda: counted(shop, customer) == 5)
    listed = shop.v1.billing.meters.event_summaries.list(
        shop.meter.id,
        {
            "customer": customer.id,
            "start_time": START - DAY,
            "end_time": START + DAY,
            "value_grouping_window": "hour",
            "limit": 2,
        },
    )
    assert [one.start_time for one in listed.auto_paging_iter()] == [START - hour * HOUR for hour in range(5)]


def test_an_event_can_be_taken_back_within_a_day(shop):
    customer = shop.customer(card=None)
    shop.use(customer, 5, "wrong")
    shop.use(customer, 2, "right")
    said = {"event_name": shop.meter.event_name, "type": "cancel", "cancel": {"identifier": "wrong"}}
    assert shop.v1.billing.meter_event_adjustments.create(said).status == "pending"
    wait(lambda: counted(shop, customer) == 2)
    with pytest.raises(stripe.InvalidRequestError):
        shop.use(customer, 5, "wrong")
    shop.advance(START + DAY + 1)
    with pytest.raises(stripe.InvalidRequestError, match="24 hours"):
        shop.v1.billing.meter_event_adjustments.create(said | {"cancel": {"identifier": "right"}})


@pytest.mark.parametrize("value", ["1.5", "many", ""])
def test_values_are_whole_numbers(shop, value):
    customer = shop.customer(card=None)
    with pytest.raises(stripe.InvalidRequestError):
        shop.use(customer, value)


def test_an_inactive_meter_takes_nothing(shop):
    customer = shop.customer(card=None)
    shop.v1.billing.meters.deactivate(shop.meter.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.use(customer, 1)
    assert refused.value.code == "archived_meter_for_event"
    shop.v1.billing.meters.reactivate(shop.meter.id)
    assert shop.use(customer, 1).timestamp == START


def test_without_a_test_clock_it_is_now(sandbox, shop):
    customer = sandbox.client.customers.create({"name": "Real"})
    event = shop.use(customer, 1)
    assert abs(event.timestamp - time.time()) < 5
