"""The plan's page: what is used, and where spending stops."""

import pytest

from apps.plans.models import TenantPlan
from apps.plans.services import plan_set

pytestmark = pytest.mark.usefixtures("counters")


def cap(alice):
    return TenantPlan.objects.get(tenant_id=alice.tenant_id).spend_cap_cents


def test_it_says_what_the_plan_includes_and_what_beyond_costs(alices, alice):
    page = alices.get(f"/t/{alice.slug}/plan").content.decode()
    assert "$199 a month, 10,000,000 checks included, then $3 per 100,000." in page
    assert "0 of 10,000,000 checks" in page
    assert "never: further checks are decided and billed" in page


@pytest.mark.parametrize(("sent", "cents"), [("12.50", 1_250), ("0", 0), ("", None)])
def test_the_spend_cap_is_set_in_dollars(sent, cents, alices, alice):
    alices.post(f"/t/{alice.slug}/plan", {"spend_cap": "99"})
    answer = alices.post(f"/t/{alice.slug}/plan", {"spend_cap": sent})
    assert (answer.status_code, cap(alice)) == (302, cents)


def test_a_cap_is_said_in_checks(alices, alice):
    alices.post(f"/t/{alice.slug}/plan", {"spend_cap": "12.50"})
    page = alices.get(f"/t/{alice.slug}/plan").content.decode()
    assert "10,416,666 checks: further ones are answered 402" in page
    assert 'value="12.5' in page


@pytest.mark.parametrize("wrong", ["-1", "much", "1.234", "99999999"])
def test_what_is_no_amount_is_refused_beside_the_field(wrong, alices, alice):
    answer = alices.post(f"/t/{alice.slug}/plan", {"spend_cap": wrong})
    assert answer.status_code == 422
    assert 'id="id_spend_cap_error"' in answer.content.decode()
    assert cap(alice) is None


@pytest.mark.parametrize(("role", "status"), [("admin", 403), ("billing", 302), ("developer", 403)])
def test_who_may_set_it(role, status, as_role, alice):
    assert as_role(role).post(f"/t/{alice.slug}/plan", {"spend_cap": "5"}).status_code == status
    assert (cap(alice) == 500) is (status == 302)


def test_an_admin_reads_it(as_role, alice):
    assert (
        "An owner or a billing member can change it." in as_role("admin").get(f"/t/{alice.slug}/plan").content.decode()
    )


def test_the_free_plan_has_an_end_and_no_cap_to_set(alices, alice):
    plan_set(tenant_id=alice.tenant_id, code="free")
    page = alices.get(f"/t/{alice.slug}/plan").content.decode()
    assert "110,000 checks: further ones are answered 402" in page
    assert "Spend cap" not in page
    answer = alices.post(f"/t/{alice.slug}/plan", {"spend_cap": "5"})
    assert answer.status_code == 422
    assert cap(alice) is None
