"""Receivers that hang hold a few workers of their own tenant's, and nobody else waits for them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.notifications.delivering import lane_run
from apps.notifications.models import Delivery
from tests.factories import notice_make
from tests.notifications.receiver import Receiver
from tests.notifications.webhooks import webhook_make

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS, CAP = 6, 4
HANGING, OTHERS = 10, 12


class Hanging(Receiver):
    """Answers when it is let go."""

    def __init__(self):
        super().__init__()
        self.let_go = threading.Event()
        self.delay_s = 0

    @property
    def answers(self):
        self.let_go.wait(30)
        return []

    @answers.setter
    def answers(self, value):
        pass


@pytest.fixture
def pool(monkeypatch):
    """As many workers as a worker process has threads; they take tasks in the order in which these were sent."""
    from apps.core import enqueue

    workers = ThreadPoolExecutor(WORKERS)
    tasks = []

    def work(arguments):
        try:
            return lane_run(**arguments, medium="webhook", clock=timezone.now)
        finally:
            connection.close()

    def send(task, arguments):
        if task == "notifications.webhook":
            tasks.append(workers.submit(work, arguments))

    monkeypatch.setattr(enqueue, "_send", send)
    yield tasks
    workers.shutdown()


def states(member):
    with tenant_scope(member.tenant_id):
        return [row.status for row in Delivery.objects.exclude(kind__startswith="channel.").order_by("id")]


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_tenants_hanging_endpoints_delay_no_other_tenant(alice, bob, settings, pool):
    settings.OUTBOUND_ALLOWED, settings.LANES_A_TENANT = ["127.0.0.1/32"], CAP
    hanging, quick = Hanging(), Receiver()
    try:
        for number in range(HANGING):
            webhook_make(alice, f"{hanging.url}/{number}", kinds=["billing.renewal"])
        for number in range(OTHERS):
            webhook_make(bob, f"{quick.url}/{number}", kinds=["billing.renewal"])
        for task in pool:
            task.result()
        quick.requests.clear()
        notice_make(alice.tenant_id, kind="billing.renewal")
        wait_until(lambda: states(alice).count("sending") == CAP)
        notice_make(bob.tenant_id, kind="billing.renewal")
        wait_until(lambda: states(bob).count("sent") == OTHERS)
        assert len({request.path for request in quick.requests}) == OTHERS
        assert states(alice).count("sending") == CAP
        hanging.let_go.set()
        wait_until(lambda: states(alice).count("sent") == HANGING)
        assert len({request.path for request in hanging.requests}) == HANGING
    finally:
        hanging.let_go.set()
        hanging.close()
        quick.close()
