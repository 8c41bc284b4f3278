import time
from contextlib import closing

import pytest

from apps.analytics.ingest.database import connect
from apps.billing.gateways import stripe as gateways
from apps.billing.models import Account
from apps.plans.services import plan_set
from tests.billing.sandbox.rig import KEY, SECRET, Sandbox, Shop
from tests.people import Browser


@pytest.fixture
def metering(transactional_db):
    """The metering role's connection."""
    with closing(connect()) as connection:
        yield connection


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    made = Sandbox(tmp_path_factory.mktemp("stripe"))
    yield made
    made.stop()


@pytest.fixture
def selling(stand_in, settings, tasks_run_at_once):
    """Stripe's own client, beside our gateway."""
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, settings.STRIPE_WEBHOOK_SECRET = KEY, stand_in.url, SECRET
    gateways.gateway.cache_clear()
    yield stand_in.client
    gateways.gateway.cache_clear()


@pytest.fixture
def within_an_hour():
    """A test that leans on the present hour does not begin in its last seconds."""
    left_s = 3_600 - time.time() % 3_600
    if left_s < 20:
        time.sleep(left_s + 1)


@pytest.fixture
def free(within_an_hour, transactional_db, bob, counters):
    """bob's tenant, on Free."""
    plan_set(tenant_id=bob.tenant_id, code="free")
    return bob


@pytest.fixture
def page(free):
    client = Browser().into(free.email)

    def ask(path, form=None, **more):
        url = f"/t/{free.slug}/plan/{path}"
        return client.get(url, **more) if form is None else client.post(url, form, **more)

    return ask


@pytest.fixture
def shop(selling, stand_in):
    """A catalogue and a test clock, for customers that live by it."""
    return Shop(stand_in)


@pytest.fixture
def customer(shop, free):
    """free's, with a card and a subscription, not yet looked at."""
    made = shop.customer(tax_id_data=[{"type": "eu_vat", "value": "DE123456789"}])
    shop.subscribe(made)
    Account.objects.create(tenant_id=free.tenant_id, customer=made.id)
    return made
