"""Seeded numbers agree with each other as ingest's do, and stay with the tenants they were made for."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.analytics import models, rollups
from apps.analytics.seeding import seed
from apps.core.scope import tenant_scope
from apps.tenants.selectors import tenant_by_slug
from ratelimiter.engine import applied
from ratelimiter.events import totals
from tests.analytics.rows import ingesting
from tests.factories import rule_make

pytestmark = pytest.mark.usefixtures("counters")
SUMS = ("allowed", "denied", "shadow_denied", "degraded", "billable", "cost")


def run(*arguments):
    out = StringIO()
    call_command("analytics_seed", *arguments, stdout=out)
    return out.getvalue()


def sums(model, names):
    rows = list(model.objects.values_list(*names))
    return [sum(column) for column in zip(*rows, strict=True)]


@pytest.fixture(autouse=True)
def few_raw_rows(monkeypatch):
    """And gone afterwards: the command commits."""
    monkeypatch.setattr(seed, "EVENTS", 2_000)
    with ingesting():
        yield


@pytest.fixture
def seeded(alice):
    rule_make(alice.tenant_id, name="per-user", type="user")
    rule_make(alice.tenant_id, name="login", type="ip", mode="shadow", match={"routes": ["POST /v1/login"]})
    return run("--tenant", alice.slug, "--days", "2")


def test_what_rollups_mean_is_what_the_data_plane_writes():
    assert rollups.LATENCY_BOUNDS_US == totals.LATENCY_BOUNDS_US
    assert rollups.LATENCY_BUCKETS == totals.LATENCY_BUCKETS
    assert (rollups.PASSED, rollups.DENIED, rollups.SHADOW_DENIED) == (
        applied.PASSED,
        applied.DENIED,
        applied.SHADOW_DENIED,
    )
    code = applied.outcome_code(7, applied.DENIED)
    assert rollups.outcome_code(7, rollups.DENIED) == code
    assert rollups.outcome_of(code) == (7, rollups.DENIED)


def test_minutes_hours_and_days_hold_the_same_checks(seeded, alice):
    with tenant_scope(alice.tenant_id):
        minutes, hours, days = (sums(model, SUMS) for model in (models.CheckMinute, models.CheckHour, models.CheckDay))
        assert minutes == hours == days
        assert all(minutes)
        for model in (models.CheckMinute, models.CheckHour, models.CheckDay):
            for row in model.objects.all():
                assert sum(row.latency) == row.allowed + row.denied
        names = ("allowed", "denied", "shadow_denied", "cost")
        assert sums(models.RuleMinute, names) == sums(models.RuleHour, names) == sums(models.RuleDay, names)


def test_every_denial_belongs_to_a_rule_and_to_somebody(seeded, alice):
    with tenant_scope(alice.tenant_id):
        (denied,) = sums(models.CheckHour, ["denied"])
        (shadowed,) = sums(models.CheckHour, ["shadow_denied"])
        assert sums(models.RuleHour, ["denied", "shadow_denied"]) == [denied, shadowed]
        for dimension in ("route", "ip", "user", "key"):
            rows = models.DimHour.objects.filter(dimension=dimension)
            assert sum(row.denied for row in rows) == denied
        assert models.OffenderHour.objects.filter(dimension="user").exists()
        assert models.Identifier.objects.filter(kind="user", value="u_911").exists()


def test_raw_rows_stand_for_the_last_days_checks(seeded, alice):
    with tenant_scope(alice.tenant_id):
        events = list(models.Event.objects.all())
        minutes = models.CheckMinute.objects.filter(at__gte=min(event.at for event in events))
        checks = sum(row.allowed + row.denied for row in minutes)
        assert abs(sum(event.weight for event in events) - checks) < 0.05 * checks
        assert {event.reason for event in events} <= {"ok", "no_rule", "limit_exceeded"}
        denied = [event for event in events if not event.allowed]
        assert denied
        for event in denied:
            assert rollups.DENIED in {rollups.outcome_of(code)[1] for code in event.results}


def test_what_is_there_already_is_kept_unless_it_shall_go(seeded, alice):
    with pytest.raises(CommandError, match="--replace deletes"):
        run("--tenant", alice.slug, "--days", "1")
    assert "checks of 1 tenants" in run("--tenant", alice.slug, "--days", "1", "--replace")


def test_tenants_are_made_once_and_nobody_else_gets_their_rows(alice, db):
    run("--tenants", "2", "--days", "1")
    run("--tenants", "2", "--days", "1", "--replace")
    ids = [tenant_by_slug(f"seed-000{rank}").id for rank in (1, 2)]
    for tenant_id in ids:
        with tenant_scope(tenant_id):
            assert {row.tenant_id for row in models.CheckHour.objects.all()} == {tenant_id}
            assert models.RuleHour.objects.exists()
    with tenant_scope(alice.tenant_id):
        assert not models.CheckHour.objects.exists()


@pytest.mark.parametrize("arguments", [(), ("--tenants", "1", "--days", "0"), ("--tenant", "nobody")])
def test_nonsense_is_refused_with_a_sentence(arguments, db):
    with pytest.raises(CommandError):
        run(*arguments)
