"""The same usage, side by side, for operators; and the counters of the doors, raised to it."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from apps.analytics.partitions import partitions_ensure
from apps.billing.metering import quota_counters_raise
from apps.billing.reconciliation import differences
from apps.billing.tasks import period_end, quota_raise, usage_correct, usage_post
from apps.limits.quotas import quota_count
from apps.plans.models import TenantPlan, Term
from apps.plans.selectors import quota_of
from apps.plans.services import plan_set
from ratelimiter.engine import keys
from ratelimiter.store.quota import quota_raise as counter_set
from tests.billing.buying import checkout, pay
from tests.billing.rows import H0, HOUR, NOW, count, late, settle
from tests.database import as_owner

BEGUN = H0 - 30 * 24 * HOUR


@pytest.fixture
def paying(metering, alice, counters):
    """alice's tenant, on Startup for some weeks."""
    with as_owner():
        partitions_ensure(now=NOW, since=BEGUN)
    plan_set(tenant_id=alice.tenant_id, code="startup")
    since = H0 - 5 * 24 * HOUR
    TenantPlan.objects.filter(tenant_id=alice.tenant_id).update(since_at=since)
    Term.objects.filter(tenant_id=alice.tenant_id).delete()
    Term.objects.create(tenant_id=alice.tenant_id, starts_at=since, plan_id="startup")
    return alice


def report(tenant, month):
    out = StringIO()
    call_command("usage_report", "--tenant", tenant.slug, "--period", f"{month:%Y-%m}", "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_report_says_what_each_has_and_what_it_costs(metering, paying, counters):
    tenant = paying.tenant_id
    count(metering, tenant, H0, 1_000_000)
    count(metering, tenant, H0 + HOUR, 250_000)
    count(metering, tenant, H0 + 2 * HOUR, 7)
    settle(metering, H0 + 2 * HOUR)
    usage_post()
    quota = quota_of(tenant, NOW)
    counter_set(counters, keys.quota(keys.tenant_tag(tenant), quota.period.id), 1_250_005)
    [found] = report(paying, quota.period.starts_at)
    expected = {
        "plan": "startup", "doors": 1_250_005, "rollups": 1_250_007, "unsettled": 7, "ledger": 1_250_000,
        "billed": 1_250_000, "included": 1_000_000, "overage": 250_000, "to_tell": 250_000, "told": 0,
        "total_cents": 4_900 + 1_250, "differences": [], "missing_events": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert [line["kind"] for line in found["lines"]] == ["base", "overage"]


def test_stripes_side_is_asked_of_stripe(selling, free, page, metering):
    pay(checkout(page))
    page("bought")
    period = quota_of(free.tenant_id, timezone.now()).period
    usage_post()
    found = report(free, period.starts_at)[-1]
    assert (found["plan"], found["acknowledged"], found["charged_cents"], found["preview_cents"]) == (
        "startup", 0, 4_900, 4_900
    )  # fmt: skip
    assert found["settled"] is None


def test_a_difference_is_found_and_named_by_its_hour(metering, paying):
    count(metering, paying.tenant_id, H0, 10)
    settle(metering, H0 + HOUR)
    usage_post()
    assert differences(metering, since=BEGUN, until=NOW) == []
    metering.execute("UPDATE analytics.check_hour SET billable = 9")
    [found] = differences(metering, since=BEGUN, until=NOW)
    assert (found.tenant_id, found.hour, found.rollups, found.ledger) == (paying.tenant_id, H0, 9, 10)
    assert report(paying, quota_of(paying.tenant_id, NOW).period.starts_at)[0]["differences"] != []
    usage_correct()
    assert differences(metering, since=BEGUN, until=NOW) == []


def test_for_people_it_is_a_text(metering, paying):
    count(metering, paying.tenant_id, H0, 10)
    settle(metering, H0 + HOUR)
    usage_post()
    out = StringIO()
    month = quota_of(paying.tenant_id, NOW).period.starts_at
    call_command("usage_report", "--tenant", paying.slug, "--period", f"{month:%Y-%m}", stdout=out)
    assert "total $49.00, 0 hours differ" in out.getvalue()
    with pytest.raises(CommandError, match="begins in 2020-01"):
        call_command("usage_report", "--tenant", paying.slug, "--period", "2020-01")


def test_late_usage_is_billed_in_its_period_while_that_can_still_change(metering, paying):
    late(metering, paying.tenant_id, H0, 5)
    settle(metering, H0 + HOUR)
    usage_post()
    assert period_end(paying.tenant_id, H0) == quota_of(paying.tenant_id, H0).period.ends_at
    assert period_end(10**9, H0) == H0


def test_a_lost_counter_is_raised_to_what_was_counted_and_never_lowered(metering, paying, counters):
    tenant = paying.tenant_id
    count(metering, tenant, H0, 700)
    period = quota_of(tenant, NOW).period
    metering.execute(
        "INSERT INTO analytics.check_minute SELECT tenant_id, %s, namespace, live, allowed, denied, shadow_denied,"
        " degraded, billable, cost, latency FROM analytics.check_hour",
        [NOW - timedelta(minutes=2)],
    )
    assert quota_counters_raise(metering, now=NOW) == 1
    assert quota_count(tenant_id=tenant, period=period, sharding=None) == 700
    counter_set(counters, keys.quota(keys.tenant_tag(tenant), period.id), 900)
    quota_raise()
    assert quota_count(tenant_id=tenant, period=period, sharding=None) == 900
