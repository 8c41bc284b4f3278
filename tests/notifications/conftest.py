from datetime import UTC, datetime, timedelta

import pytest

from apps.core.scope import tenant_scope
from apps.notifications.models import Channel, Delivery, Notice


class Clock:
    """A clock that the test moves; ahead of what services read themselves."""

    def __init__(self):
        self.now = datetime.now(UTC) + timedelta(minutes=1)

    def __call__(self):
        return self.now

    def pass_(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rows(alice):
    """What Alice's tenant has, as lists of the model's rows in order of their ids."""

    class Rows:
        def __getattr__(self, name):
            model = {"notices": Notice, "deliveries": Delivery, "channels": Channel}[name]
            with tenant_scope(alice.tenant_id):
                return list(model.objects.order_by("id"))

    return Rows()


@pytest.fixture
def run(alice, clock):
    """Delivers what is due through all of Alice's lanes, once each; returns how many were tried."""
    from apps.notifications.delivering import lane_run
    from apps.notifications.house.models import Lane

    def run():
        lanes = Lane.objects.filter(tenant_id=alice.tenant_id).order_by("channel_id")
        return sum(
            lane_run(tenant_id=alice.tenant_id, channel_id=lane.channel_id, medium=lane.medium, clock=clock)
            for lane in list(lanes)
        )

    return run
