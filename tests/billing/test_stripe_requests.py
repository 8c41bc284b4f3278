"""Every request of our gateway is one that Stripe would take; stripe-mock, which is Stripe's, says so."""

from datetime import UTC, datetime, timedelta

import pytest
import stripe

from apps.billing.gateways import mirror
from apps.billing.gateways.catalogue import Done, Meter, Priced
from apps.billing.gateways.charges import Extra, ExtraLine
from apps.billing.gateways.errors import StripeRefused
from apps.billing.gateways.stripe import StripeGateway
from tests.billing.sandbox.rig import KEY
from tests.billing.sandbox.spec import SpecMissing
from tests.billing.stripe_mock import StripeMock

AT = datetime(2026, 1, 1, tzinfo=UTC)
PRO = Priced(code="professional", name="Professional", price_cents=19_900, overage_micro_cents=3_000)


@pytest.fixture(scope="module")
def gateway():
    try:
        mock = StripeMock()
    except SpecMissing as reason:
        pytest.skip(str(reason))
    yield StripeGateway(secret_key=KEY, api_base=mock.url)
    mock.stop()


@pytest.mark.slow
def test_stripe_would_take_what_the_gateway_asks(gateway):
    meter = gateway.meter_ensure()
    assert gateway.customer_create(tenant_id=7, name="Ada", email="ada@example.com").startswith("cus_")
    prices = gateway.prices_ensure(PRO)
    page = {"success_url": "https://example.com/done", "cancel_url": "https://example.com/back"}
    assert gateway.checkout_url(customer="cus_1", prices=prices, **page).startswith("https://")
    assert gateway.portal_url(customer="cus_1", return_url="https://example.com").startswith("https://")
    gateway.usage_tell(customer="cus_1", units=-5, at=AT, identifier="row-1")
    told = gateway.usage_told(customer="cus_1", meter=Meter(meter.id, "x"), since=AT, until=AT.replace(hour=1))
    assert isinstance(told, int)
    with pytest.raises(StripeRefused, match="none of our plans"):  # what stripe-mock makes up never is
        gateway.subscriptions.of("cus_1")


@pytest.mark.slow
def test_stripe_would_take_the_catalogue(gateway):
    gateway.catalogue.product_ensure(PRO, Done())
    assert gateway.catalogue.others_retire(()) == []  # what stripe-mock makes up is no plan's


@pytest.mark.slow
def test_stripe_would_take_what_staff_give(gateway):
    gateway.customer_contact("cus_1", email="books@example.com")
    assert gateway.credits.credit("cus_1", cents=500, reason="an hour of 503s", reference="row-1").startswith("cbtxn_")
    assert gateway.credits.refund("in_1", cents=500, reason="agreed", reference="row-1").startswith("cn_")


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/customers/{}", *mirror.LISTS.values()])
def test_stripe_would_answer_the_mirror(gateway, path):
    assert gateway.answer(path.format("cus_1")).status == 200


@pytest.mark.slow
def test_stripe_would_take_how_subscriptions_are_changed(gateway):
    subscriptions = gateway.subscriptions
    lines = [
        ExtraLine(Extra.UNUSED, -1_200, AT, AT.replace(day=9)),
        ExtraLine(Extra.OVERAGE, 34, AT, AT.replace(day=9)),
    ]
    subscriptions.upgrade("sub_1", code="professional", prices=["price_1", "price_2"], lines=lines)
    subscriptions.change_at_renewal("sub_1", code="startup", prices=["price_1", "price_2"])
    subscriptions.end_at_renewal("sub_1")
    subscriptions.keep("sub_1")
    subscriptions.cancel("sub_1")


@pytest.mark.slow
def test_stripe_would_take_how_periods_are_settled(gateway):
    charges = gateway.charges
    assert charges.of("cus_1", since=AT).cents
    assert isinstance(charges.preview("sub_1"), int)
    charges.drafts_hold("cus_1", grace=timedelta(hours=7))
    for subscription in ("sub_1", ""):
        for cents in (500, -500):
            line = ExtraLine(Extra.CORRECTION, cents, AT, AT.replace(day=9))
            charges.correct("cus_1", subscription=subscription, line=line, reference="7-2026010100")


@pytest.mark.slow
def test_stripe_mock_says_no_to_what_stripe_does_not_know(gateway):
    with pytest.raises(stripe.InvalidRequestError, match="additional properties"):
        gateway._client.v1.customers.create({"colour": "red"})
