"""What Stripe sells is what our plans say, however often it is brought there."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.plans.models import Plan
from tests.billing.sandbox.rig import Sandbox


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """Of its own: what it sells is counted."""
    made = Sandbox(tmp_path_factory.mktemp("stripe"))
    yield made
    made.stop()


def sync():
    said = StringIO()
    call_command("billing_catalogue_sync", stdout=said)
    return said.getvalue().splitlines()


def sold(selling):
    prices = selling.prices.list({"active": True, "limit": 100}).data
    return {
        price.lookup_key: (str(price.unit_amount_decimal), price.product)
        for price in prices
        if "plan" in price.metadata.to_dict()
    }


@pytest.fixture
def startup(free):
    """The plan, which is as it was after the test."""
    plan = Plan.objects.get(code="startup")
    yield plan
    Plan.objects.filter(code="startup").update(price_cents=4_900, overage_cents=500, name="Startup")


AS_SEEDED = {
    "startup-base-4900": ("4900", "plan-startup"),
    "startup-overage-5000": ("0.005", "plan-startup"),
    "professional-base-19900": ("19900", "plan-professional"),
    "professional-overage-3000": ("0.003", "plan-professional"),
}


def test_all_that_is_sold_is_brought_there_once(selling, startup):
    assert sync() == [
        "product Startup is made",
        "price startup-base-4900 is made",
        "price startup-overage-5000 is made",
        "product Professional is made",
        "price professional-base-19900 is made",
        "price professional-overage-3000 is made",
    ]
    assert sold(selling) == AS_SEEDED
    assert sync() == ["Stripe has all plans as they are."]
    assert sold(selling) == AS_SEEDED
    assert len(selling.billing.meters.list().data) == 1


def test_other_numbers_are_another_price_and_the_old_one_is_sold_no_more(selling, startup):
    sync()
    Plan.objects.filter(code="startup").update(price_cents=5_900)
    assert sync() == ["price startup-base-5900 is made", "price startup-base-4900 is sold no more"]
    Plan.objects.filter(code="startup").update(price_cents=4_900)
    assert sync() == ["price startup-base-4900 is sold again", "price startup-base-5900 is sold no more"]
    assert sold(selling) == AS_SEEDED


def test_a_plan_that_is_called_otherwise_is_so_at_stripe(selling, startup):
    sync()
    Plan.objects.filter(code="startup").update(name="Starter")
    assert sync() == ["product Startup is Starter now"]
    assert selling.products.retrieve("plan-startup").name == "Starter"
    Plan.objects.filter(code="startup").update(name="Startup")
    sync()


def test_what_is_not_ours_is_left_alone(selling, startup):
    product = selling.products.create({"name": "T-shirt"})
    price = selling.prices.create({"product": product.id, "currency": "usd", "unit_amount": 2_000})
    sync()
    assert selling.prices.retrieve(price.id).active


def test_without_an_account_it_says_so(settings, db):
    settings.STRIPE_SECRET_KEY = ""
    with pytest.raises(CommandError, match="STRIPE_SECRET_KEY"):
        sync()
