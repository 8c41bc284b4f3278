"""What is not on the price list: a trial, and contracts for one tenant."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.billing.accounts import checkout_begin
from apps.billing.changes import change_offer
from apps.billing.gateways.stripe import gateway
from apps.billing.models import Account
from apps.core.errors import Conflict, NotFound
from apps.plans.models import Contract, Plan, TenantPlan, Term
from apps.plans.periods import hour_of, months_after
from apps.plans.selectors import entitlements_of, plan_of, plans_all, plans_for, quota_of, trial_for
from apps.plans.services import plan_set, trial_begin, trials_end
from tests.billing.buying import checkout, pay

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _present(within_an_hour, monkeypatch):
    """Plans are bought at the real time, so the test's own is not that of the import."""
    monkeypatch.setitem(globals(), "NOW", datetime.now(UTC))


ALL_TYPES = ["global", "ip", "route", "user", "custom"]


@pytest.fixture
def fresh(free):
    """bob's tenant, which never had another plan."""
    Term.objects.filter(tenant_id=free.tenant_id).delete()
    TenantPlan.objects.filter(tenant_id=free.tenant_id).delete()
    return free


@pytest.fixture
def contract(free):
    """A contract for bob's tenant. Plans outlive tests, so it is taken away."""
    facts = {"name": "Acme", "price_cents": 250_000, "included_checks": 300_000_000, "overage_cents": 100,
             "rule_types": ALL_TYPES, "retention_days": 365, "webhooks": True, "support": "Account manager, 4 h",
             "is_listed": True}  # fmt: skip
    plan = Plan.objects.create(code="acme-2026", **facts)
    Contract.objects.create(plan=plan, tenant_id=free.tenant_id, term_months=12)
    yield plan
    TenantPlan.objects.filter(plan=plan).delete()
    Term.objects.filter(plan=plan).delete()
    plan.delete()


class TestTrial:
    def test_it_has_what_professional_can_do_under_the_cap_of_free(self, fresh, page):
        assert "Begin the trial" in page("change").content.decode()
        text = page("trial", {}, follow=True).content.decode()
        assert "Professional trial" in text
        allowed = entitlements_of(fresh.tenant_id)
        assert (set(allowed.rule_types), allowed.webhooks) == (set(ALL_TYPES), True)
        assert quota_of(fresh.tenant_id, timezone.now()).cap == 110_000
        assert "then Free begins" in page("change").content.decode()

    def test_it_ends_by_itself(self, fresh):
        trial_begin(tenant_id=fresh.tenant_id)
        begun = TenantPlan.objects.get(tenant_id=fresh.tenant_id).since_at
        assert trials_end(now=begun + timedelta(days=14) - timedelta(seconds=1)) == 0
        TenantPlan.objects.filter(tenant_id=fresh.tenant_id).update(since_at=begun - timedelta(days=15))
        Term.objects.filter(tenant_id=fresh.tenant_id).update(starts_at=hour_of(begun) - timedelta(days=15))
        assert trials_end(now=begun) == 1
        assert trials_end(now=begun) == 0
        assert plan_of(fresh.tenant_id).code == "free"
        ended = Term.objects.filter(tenant_id=fresh.tenant_id).latest("starts_at")
        assert ended.starts_at == hour_of(begun) - timedelta(days=1)

    def test_there_is_one(self, fresh, page):
        trial_begin(tenant_id=fresh.tenant_id)
        plan_set(tenant_id=fresh.tenant_id, code="free")
        TenantPlan.objects.filter(tenant_id=fresh.tenant_id).update(since_at=NOW - timedelta(days=3))
        Term.objects.create(tenant_id=fresh.tenant_id, plan_id="trial", starts_at=hour_of(NOW) - timedelta(days=20))
        with pytest.raises(Conflict, match="neither bought nor tried"):
            trial_begin(tenant_id=fresh.tenant_id)
        assert "Begin the trial" not in page("change").content.decode()

    def test_who_buys_meanwhile_keeps_what_he_bought(self, selling, fresh, page):
        page("trial", {})
        pay(checkout(page))
        page("bought")
        assert plan_of(fresh.tenant_id).code == "startup"
        assert trials_end(now=NOW + timedelta(days=30)) == 0
        assert trial_for(fresh.tenant_id) is None


class TestContract:
    def test_only_its_tenant_sees_it(self, selling, contract, free, alice, page):
        text = page("change").content.decode()
        assert "Buy Acme" in text
        assert "for 12 months" in text
        assert "acme-2026" in {plan.code for plan in plans_for(free.tenant_id)}
        assert "acme-2026" not in {plan.code for plan in plans_all() + plans_for(alice.tenant_id)}
        with pytest.raises(NotFound) as other:
            checkout_begin(gateway(), tenant_id=alice.tenant_id, code="acme-2026", email="a@example.com",
                           success_url="https://example.com", cancel_url="https://example.com")  # fmt: skip
        with pytest.raises(NotFound) as missing:
            checkout_begin(gateway(), tenant_id=alice.tenant_id, code="acme-2027", email="a@example.com",
                           success_url="https://example.com", cancel_url="https://example.com")  # fmt: skip
        assert str(other.value) == str(missing.value).replace("2027", "2026")

    def test_its_numbers_are_charged_and_it_is_not_left_before_its_end(self, selling, contract, free, page):
        pay(checkout(page, "acme-2026"))
        page("bought")
        assert plan_of(free.tenant_id).code == "acme-2026"
        account = Account.objects.get(tenant_id=free.tenant_id)
        assert selling.invoices.list({"customer": account.customer}).data[0].amount_paid == 250_000
        with pytest.raises(Conflict, match="is a contract until"):
            change_offer(tenant_id=free.tenant_id, code="free", now=NOW)
        term = Term.objects.get(tenant_id=free.tenant_id, plan_id="acme-2026")
        Account.objects.update(renews_at=months_after(term.starts_at, 12))
        assert change_offer(tenant_id=free.tenant_id, code="free", now=NOW).plan.code == "free"
