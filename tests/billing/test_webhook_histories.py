"""Any history of webhooks ends as the same news do that come in order and at once."""

import os

import pytest
import stripe
from django.utils import timezone

from apps.billing.gateways import stripe as gateways
from apps.core import enqueue
from config.celery import app
from tests.billing.histories import Histories, Ticking, state_of
from tests.billing.sandbox.rig import KEY, SECRET, Sandbox

HISTORIES = int(os.environ.get("WEBHOOK_HISTORIES", "100"))
FIRST = int(os.environ.get("WEBHOOK_FIRST", "0"))
STEPS = int(os.environ.get("WEBHOOK_STEPS", "3"))
BATCH = 20


@pytest.fixture
def clock(monkeypatch):
    ticking = Ticking()
    monkeypatch.setattr(timezone, "now", ticking)
    return ticking


@pytest.fixture
def rough(tmp_path, settings, monkeypatch):
    """A Stripe of which one request in twenty goes wrong."""
    sandbox = Sandbox(tmp_path, SANDBOX_FAULTS="0.05", SANDBOX_AFTER_RETRIES="canceled")
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, settings.STRIPE_WEBHOOK_SECRET = KEY, sandbox.url, SECRET
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.001)
    gateways.gateway.cache_clear()
    yield sandbox
    gateways.gateway.cache_clear()
    sandbox.stop()


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FIRST, FIRST + HISTORIES, BATCH))
def test_any_history_ends_as_the_one_in_order(rough, clock, transactional_db, monkeypatch, first):
    app.loader.import_default_modules()
    seeds = range(first, min(first + BATCH, FIRST + HISTORIES))
    histories = Histories(stand_in=rough, gateway=gateways.gateway(), clock=clock, seeds=seeds)
    monkeypatch.setattr(enqueue, "_send", lambda task, arguments: histories.sent.append((task, dict(arguments))))
    histories.live(STEPS)
    print(dict(histories.did))
    assert {
        seed: found for seed, life in zip(seeds, histories.lives, strict=True) if (found := differences(life))
    } == {}


def differences(life):
    told, late = state_of(life.told), state_of(life.late)
    return {name: (told[name], late[name]) for name in told if told[name] != late[name]}
