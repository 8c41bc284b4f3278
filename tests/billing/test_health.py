"""What operators are told of the way from usage to money."""

from datetime import timedelta

from prometheus_client import REGISTRY, generate_latest

from apps.billing.happenings import Happened, happened
from apps.billing.health import MEANINGS, billing_health
from apps.billing.models import Settlement
from apps.billing.tasks import usage_compare, usage_post
from tests.billing.rows import H0, HOUR, NOW, count, settle


def test_health_tells_of_differences_and_of_what_waits(metering, caplog):
    nothing = billing_health()
    assert {name: nothing[name] for name in ("differing", "untold", "untold_s", "refused", "unsettled", "unsent")} == {
        "differing": 0, "untold": 0, "untold_s": 0, "refused": 0, "unsettled": 0, "unsent": 0,
    }  # fmt: skip
    count(metering, 7, H0, 10)
    settle(metering, H0 + HOUR)
    usage_post()
    metering.execute("UPDATE analytics.check_hour SET billable = 9")
    usage_compare()
    metering.execute(
        "INSERT INTO billing.overage (tenant_id, period_at, seq, units, at, identifier, made_at)"
        " VALUES (7, now(), 0, 40, now(), 'a', now() - interval '1 hour'), (7, now(), 1, -2, now(), 'b', now()),"
        " (7, now(), 2, 5, now(), 'c', now())"
    )
    metering.execute("UPDATE billing.overage SET refused = 'too old' WHERE identifier = 'c'")
    Settlement.objects.create(tenant_id=7, period_at=NOW - timedelta(days=40), billed_cents=5, charged_cents=4)
    happened(7, Happened.PLAN_CHANGED, "k", at=NOW, facts={})
    health = billing_health()
    assert {name: health[name] for name in ("differing", "untold", "refused", "unsettled", "unsent")} == {
        "differing": 1, "untold": 42, "refused": 1, "unsettled": 1, "unsent": 1,
    }  # fmt: skip
    assert health["untold_s"] >= 3_600
    assert "usage_differs" in caplog.text
    metering.execute("UPDATE analytics.check_hour SET billable = 10")
    usage_compare()
    assert billing_health()["differing"] == 0


def test_prometheus_reads_them_all(transactional_db):
    text = generate_latest(REGISTRY).decode()
    for metric, _ in MEANINGS.values():
        assert f"\nratelimiter_billing_{metric} " in text
