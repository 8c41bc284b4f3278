"""Billing periods, and what a plan lets a tenant use in one."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.core.errors import Conflict, Invalid
from apps.plans.models import TenantPlan
from apps.plans.periods import period_at
from apps.plans.selectors import quota_of
from apps.plans.services import plan_set, spend_cap_set
from apps.tenants.selectors import tenant_get
from apps.tenants.services import tenant_create
from tests.factories import MemberFactory


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("anchor", "now", "starts", "ends"),
    [
        ("2026-11-25 03:59:59", "2026-11-25 03:59:59", "2026-11-25 03:00", "2026-12-25 03:00"),
        ("2026-11-25 03:59:59", "2026-12-25 02:59:59", "2026-11-25 03:00", "2026-12-25 03:00"),
        ("2026-11-25 03:59:59", "2026-12-25 03:00", "2026-12-25 03:00", "2027-01-25 03:00"),
        ("2026-01-31 10:00", "2026-02-28 09:59", "2026-01-31 10:00", "2026-02-28 10:00"),
        ("2026-01-31 10:00", "2026-02-28 10:00", "2026-02-28 10:00", "2026-03-31 10:00"),
        ("2024-01-31 10:00", "2024-02-29 11:00", "2024-02-29 10:00", "2024-03-31 10:00"),
        ("2026-01-31 10:00", "2026-04-30 09:00", "2026-03-31 10:00", "2026-04-30 10:00"),
        ("2026-12-31 23:30", "2027-01-01 00:00", "2026-12-31 23:00", "2027-01-31 23:00"),
    ],
)
def test_a_period_is_a_month_from_the_anchors_day_and_hour(anchor, now, starts, ends):
    period = period_at(at(anchor), at(now))
    assert (period.starts_at, period.ends_at) == (at(starts), at(ends))


def test_periods_follow_each_other_without_a_gap_and_keep_the_anchor():
    anchor, seen = at("2024-01-31 05:30"), []
    period = period_at(anchor, anchor)
    for _ in range(48):
        seen.append(period.starts_at.day)
        following = period.following(anchor)
        assert following.starts_at == period.ends_at
        assert period_at(anchor, period.ends_at - timedelta(microseconds=1)) == period
        period = following
    assert seen.count(31) == 28
    assert set(seen) == {28, 29, 30, 31}


def test_a_period_is_named_by_its_beginning():
    assert period_at(at("2026-11-25 03:59"), at("2026-11-26 00:00")).id == "2026-11-25T03Z"


def test_a_tenant_without_a_plan_counts_from_its_creation(db):
    tenant_id = tenant_create(name="New", owner_id=None).id
    created_at = tenant_get(tenant_id).created_at
    quota = quota_of(tenant_id, created_at)
    assert quota.period == period_at(created_at, created_at)
    assert (quota.cap, quota.included_checks) == (110_000, 100_000)


def test_a_plan_begins_a_period(alice):
    since_at = TenantPlan.objects.get(tenant_id=alice.tenant_id).since_at
    assert quota_of(alice.tenant_id, since_at).period.starts_at == since_at.replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize(
    ("plan", "cents", "cap"),
    [
        ("startup", None, 0),
        ("startup", 0, 1_000_000),
        ("startup", 499, 1_099_800),
        ("startup", 500, 1_100_000),
        ("professional", 1_000, 10_333_333),
    ],
)
def test_a_spend_cap_is_a_number_of_checks(db, plan, cents, cap):
    member = MemberFactory(plan=plan)
    spend_cap_set(tenant_id=member.tenant_id, cents=cents)
    assert quota_of(member.tenant_id, datetime.now(UTC)).cap == cap


@pytest.mark.parametrize("plan", ["free", "enterprise"])
def test_where_nothing_is_billed_beyond_the_price_there_is_nothing_to_cap(db, plan):
    with pytest.raises(Conflict, match="nothing to cap"):
        spend_cap_set(tenant_id=MemberFactory(plan=plan).tenant_id, cents=500)


def test_a_cap_that_is_no_amount_is_refused(alice):
    for cents in (-1, 100_000_001):
        with pytest.raises(Invalid):
            spend_cap_set(tenant_id=alice.tenant_id, cents=cents)


def test_only_a_change_is_a_revision(alice):
    before = tenant_get(alice.tenant_id).revision
    plan_set(tenant_id=alice.tenant_id, code="professional")
    spend_cap_set(tenant_id=alice.tenant_id, cents=None)
    assert tenant_get(alice.tenant_id).revision == before
    spend_cap_set(tenant_id=alice.tenant_id, cents=100)
    spend_cap_set(tenant_id=alice.tenant_id, cents=100)
    assert tenant_get(alice.tenant_id).revision == before + 1
