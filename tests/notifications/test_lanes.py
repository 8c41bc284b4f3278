"""One worker a channel, a few a tenant, and nothing is forgotten."""

from datetime import timedelta

import pytest

from apps.notifications.house.lanes import LEASE, lane_claim, lane_release, lane_renew, lanes_sweep, lanes_wake
from apps.notifications.house.models import Lane

pytestmark = pytest.mark.django_db(transaction=True)
TENANT = 7


@pytest.fixture
def wake(clock, sent):
    def wake(*channels, tenant=TENANT, medium="webhook"):
        lanes_wake(tenant_id=tenant, channels=[(channel, medium) for channel in channels], now=clock.now)

    return wake


def claim(channel, clock):
    lane = Lane.objects.get(channel_id=channel)
    return lane_claim(channel_id=channel, tenant_id=lane.tenant_id, medium=lane.medium, now=clock.now)


def release(channel, lease, clock, next_at=None):
    lane_release(channel_id=channel, lease=lease, next_at=next_at, now=clock.now)


def test_a_lane_is_one_workers_at_a_time(wake, clock):
    wake(1)
    lease = claim(1, clock)
    assert lease
    assert claim(1, clock) is None
    release(1, lease, clock)
    assert claim(1, clock) is None  # nothing to do


def test_who_notifies_while_a_lane_is_held_is_not_forgotten(wake, clock, sent):
    wake(1)
    lease = claim(1, clock)
    wake(1)
    before = len(sent)
    release(1, lease, clock)
    assert sent[before:] == [("notifications.webhook", {"tenant_id": TENANT, "channel_id": 1})]
    assert claim(1, clock)


def test_a_worker_that_died_is_followed_when_its_lease_ends_and_may_not_go_on(wake, clock, sent):
    wake(1)
    first = claim(1, clock)
    clock.pass_(seconds=LEASE.total_seconds() - 1)
    assert claim(1, clock) is None
    assert lanes_sweep(now=clock.now) == 0
    clock.pass_(seconds=2)
    assert lanes_sweep(now=clock.now) == 1
    second = claim(1, clock)
    assert second == first + 1
    assert not lane_renew(channel_id=1, lease=first, now=clock.now)
    release(1, first, clock)
    assert lane_renew(channel_id=1, lease=second, now=clock.now)


def test_a_tenant_has_so_many_workers_a_medium_and_no_more(wake, clock, settings, sent):
    settings.LANES_A_TENANT = 2
    wake(1, 2, 3)
    wake(4, medium="email")
    wake(5, tenant=8)
    assert [bool(claim(channel, clock)) for channel in (1, 2, 3, 4, 5)] == [True, True, False, True, True]
    before = len(sent)
    release(1, 1, clock)
    assert sent[before:] == [("notifications.webhook", {"tenant_id": TENANT, "channel_id": 3})]
    assert claim(3, clock)


def test_the_sweep_sends_what_is_due_once_a_while_and_a_few_of_each_tenant(wake, clock, settings, sent):
    settings.LANES_A_TENANT = 2
    wake(*range(1, 6))
    wake(9, tenant=8)
    sent.clear()
    assert lanes_sweep(now=clock.now) == 0  # tasks were sent just now
    clock.pass_(seconds=61)
    assert lanes_sweep(now=clock.now) == 3
    assert [task["channel_id"] for _, task in sorted(sent, key=str)] == [1, 2, 9]
    assert lanes_sweep(now=clock.now) == 2  # those that were not sent before
    assert lanes_sweep(now=clock.now) == 1
    assert lanes_sweep(now=clock.now) == 0


def test_what_is_due_later_waits(wake, clock, sent):
    wake(1)
    release(1, claim(1, clock), clock, next_at=clock.now + timedelta(seconds=5))
    assert claim(1, clock) is None
    clock.pass_(seconds=4)
    assert lanes_sweep(now=clock.now) == 0
    clock.pass_(seconds=1)
    assert lanes_sweep(now=clock.now) == 1
    assert claim(1, clock)
    assert Lane.objects.get().due_at is None
