"""What a period's checks beyond the included ones cost is said at the amounts that a tenant asked for, once each."""

import pytest
from django.utils import timezone

from apps.billing.models import SpendAlert
from apps.billing.spending import alerts_evaluate, alerts_of, alerts_set
from apps.billing.tasks import usage_post
from apps.core.errors import Invalid
from apps.core.scope import tenant_scope
from apps.notifications.models import Notice
from apps.plans.models import TenantPlan, Term
from apps.plans.services import plan_set
from tests.billing.rows import H0, HOUR, count, settle
from tests.people import Browser


@pytest.fixture
def paying(metering, bob, counters):
    """bob's tenant, on Startup for a while: a million checks, then $5 for 100,000."""
    plan_set(tenant_id=bob.tenant_id, code="startup")
    TenantPlan.objects.update(since_at=H0 - 2 * HOUR)
    Term.objects.update(starts_at=H0 - 2 * HOUR)
    return bob


def use(metering, member, units, hour=H0):
    count(metering, member.tenant_id, hour, units)
    settle(metering, hour + HOUR)
    usage_post()


def said(member):
    with tenant_scope(member.tenant_id):
        return [
            (one.context["threshold"], one.context["amount"])
            for one in Notice.objects.filter(kind="billing.spend").order_by("id")
        ]


def test_each_amount_is_said_once_when_it_is_passed(metering, paying):
    alerts_set(tenant_id=paying.tenant_id, cents=[1_000, 2_000, 9_000])
    use(metering, paying, 1_100_000)
    assert alerts_evaluate(now=timezone.now()) == 0
    use(metering, paying, 150_000, H0 + HOUR)
    assert [alerts_evaluate(now=timezone.now()) for _ in range(3)] == [1, 0, 0]
    use(metering, paying, 200_000, H0 + 2 * HOUR)
    alerts_evaluate(now=timezone.now())
    assert said(paying) == [("$10.00", "$12.50"), ("$20.00", "$22.50")]


def test_included_checks_cost_nothing(metering, paying):
    alerts_set(tenant_id=paying.tenant_id, cents=[1])
    use(metering, paying, 1_000_000)
    assert alerts_evaluate(now=timezone.now()) == 0


def test_of_others_nothing_is_said(metering, paying, alice):
    alerts_set(tenant_id=alice.tenant_id, cents=[1])
    use(metering, paying, 2_000_000)
    assert alerts_evaluate(now=timezone.now()) == 0


def test_new_amounts_take_the_place_of_the_old_ones(db, bob):
    alerts_set(tenant_id=bob.tenant_id, cents=[5_000, 1_000, 1_000])
    alerts_set(tenant_id=bob.tenant_id, cents=[1_000, 700])
    assert alerts_of(bob.tenant_id) == [700, 1_000]
    alerts_set(tenant_id=bob.tenant_id, cents=[])
    assert not SpendAlert.objects.exists()


@pytest.mark.parametrize("wrong", [[0], [-1], [100_000_001], [1, 2, 3, 4, 5, 6]])
def test_nonsense_is_refused(db, bob, wrong):
    with pytest.raises(Invalid):
        alerts_set(tenant_id=bob.tenant_id, cents=wrong)


class TestPage:
    @pytest.fixture
    def post(self, paying):
        client = Browser().into(paying.email)
        return lambda alerts, **more: client.post(f"/t/{paying.slug}/invoices/alerts", {"alerts": alerts}, **more)

    def test_amounts_are_typed_as_one_would(self, post, paying):
        page = post("50, $10,12.5", follow=True).content.decode()
        assert alerts_of(paying.tenant_id) == [1_000, 1_250, 5_000]
        assert 'value="10, 12.50, 50"' in page
        assert "There are no spend alerts" in post("", follow=True).content.decode()
        assert alerts_of(paying.tenant_id) == []

    @pytest.mark.parametrize("wrong", ["ten", "1,2,3,4,5,6", "0", "NaN", "1e99", "-5"])
    def test_nonsense_is_refused_beside_the_field(self, post, paying, wrong):
        answer = post(wrong)
        assert answer.status_code == 422
        assert "field-error" in answer.content.decode()
        assert alerts_of(paying.tenant_id) == []
