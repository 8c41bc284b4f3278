"""Work is handed over after the commit and only then; a broker that is away fails no request."""

import time

import pytest
from django.db import transaction

from apps.core.enqueue import enqueue
from config.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_is_sent_for_a_transaction_that_rolled_back(sent):
    def fail():
        with transaction.atomic():
            enqueue("limits.snapshot_publish", tenant_id=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert sent == []


def test_what_is_sent_arrives_by_name_with_ids_in_its_tasks_queue():
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        for queue in ("publish", "cells", "default"):
            channel.client.delete(queue)
        with transaction.atomic():
            enqueue("limits.snapshot_publish", tenant_id=7)
            assert channel.client.llen("publish") == 0
        enqueue("tenants.cells_ensure")
        assert [channel.client.llen(queue) for queue in ("publish", "cells", "default")] == [1, 1, 0]
        assert b'"task": "limits.snapshot_publish"' in channel.client.lindex("publish", 0)
        for queue in ("publish", "cells"):
            channel.client.delete(queue)


def test_without_a_broker_the_request_goes_on_within_a_second(monkeypatch):
    from kombu.pools import producers

    monkeypatch.setattr(app.amqp, "_producer_pool", producers[app.connection_for_write("redis://127.0.0.1:1/0")])
    started = time.monotonic()
    enqueue("limits.snapshot_publish", tenant_id=1)
    assert time.monotonic() - started < 1
