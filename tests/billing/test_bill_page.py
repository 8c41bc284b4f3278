"""The page says what the ledger says."""

from datetime import timedelta

import pytest

from apps.analytics.partitions import partitions_ensure
from apps.billing.selectors import bill_of, forecast_of
from apps.billing.tasks import usage_post
from apps.core.scope import tenant_scope
from apps.plans.models import TenantPlan, Term
from apps.plans.services import plan_set
from tests.billing.rows import H0, HOUR, NOW, count, settle
from tests.database import as_owner
from tests.people import Browser

SINCE = H0 - 40 * 24 * HOUR


@pytest.fixture
def page(alice):
    client = Browser().into(alice.email)

    def read(path="bill", **query):
        return client.get(f"/t/{alice.slug}/{path}", query)

    return read


@pytest.fixture
def paying(metering, alice):
    """alice's tenant, on Startup for forty days."""
    with as_owner():
        partitions_ensure(now=NOW, since=SINCE)
    plan_set(tenant_id=alice.tenant_id, code="startup")
    TenantPlan.objects.filter(tenant_id=alice.tenant_id).update(since_at=SINCE)
    Term.objects.filter(tenant_id=alice.tenant_id).update(starts_at=SINCE)
    return alice


def test_line_by_line_to_the_fraction_of_a_cent(metering, paying, page):
    count(metering, paying.tenant_id, H0, 1_250_001)
    settle(metering, H0 + HOUR)
    usage_post()
    text = page().content.decode()
    for words in ("Startup, a month", "$49.00", "250,001", "$0.00005", "$12.50", "$61.50", "1,250,001 billable checks"):
        assert words in text
    with tenant_scope(paying.tenant_id):
        assert bill_of(paying.tenant_id, NOW, now=NOW).bill.total_cents == 6_150


def test_the_next_plan_is_recommended_where_it_would_cost_less(metering, paying, page):
    count(metering, paying.tenant_id, H0, 4_500_000)
    settle(metering, H0 + HOUR)
    usage_post()
    assert "Professional would save you $25.00" in page().content.decode()


def test_what_it_will_be_is_said_once_there_is_a_pace(metering, paying, page):
    count(metering, paying.tenant_id, H0, 100_000)
    settle(metering, H0 + HOUR)
    usage_post()
    assert "At the pace" not in page().content.decode()
    count(metering, paying.tenant_id, H0 - 48 * HOUR, 900_000)
    text = page().content.decode()
    assert "At the pace of the last seven days it will be" in text
    with tenant_scope(paying.tenant_id):
        forecast = forecast_of(paying.tenant_id, bill_of(paying.tenant_id, NOW, now=NOW), now=NOW)
    assert forecast.used > 1_000_000
    assert forecast.total_cents > 4_900


def test_an_earlier_period_is_there_and_final(metering, paying, page):
    before = SINCE + 24 * HOUR
    count(metering, paying.tenant_id, before, 77)
    settle(metering, H0 + HOUR)
    usage_post()
    text = page(period=SINCE.isoformat()).content.decode()
    assert "77 billable checks" in text
    assert "Nothing is added to it any more" in text
    csv = page("bill.csv", period=SINCE.isoformat())
    assert csv.content.decode().splitlines() == ["hour,billable_checks", f"{before.isoformat()},77"]
    for nonsense in ("yesterday", (SINCE + timedelta(days=1)).isoformat()):
        assert page(period=nonsense).status_code == 404


def test_the_page_takes_few_queries(metering, paying, page, django_assert_max_num_queries):
    Term.objects.filter(tenant_id=paying.tenant_id).update(starts_at=SINCE - timedelta(days=600))
    with django_assert_max_num_queries(15):
        assert page().status_code == 200


def test_others_see_nothing_of_it(metering, paying, bob):
    assert Browser().into(bob.email).get(f"/t/{paying.slug}/bill").status_code == 404


def test_on_the_free_plan_it_costs_nothing(metering, bob):
    plan_set(tenant_id=bob.tenant_id, code="free")
    text = Browser().into(bob.email).get(f"/t/{bob.slug}/bill").content.decode()
    assert "Free costs nothing" in text
    assert "would save" not in text
