"""Degraded answers, denials out of the ordinary and the week's sums are said once, and again after a cool-down only."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.analytics.alerting import COOL_DOWN, alerts_evaluate
from apps.analytics.digest import digests_send
from apps.core.scope import tenant_scope
from apps.notifications.models import Notice
from tests.analytics.rows import DAY, DENIED, MINUTE
from tests.factories import rule_make


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def rule(alice):
    return rule_make(alice.tenant_id, name="user-rpm", type="user")


def said(member):
    with tenant_scope(member.tenant_id):
        return [(row.kind, row.context) for row in Notice.objects.order_by("id")]


def test_degraded_answers_are_said_once_until_the_cool_down_is_over(rows, ingest, alice, bob, now):
    rows.checks("minute", now - MINUTE, allowed=90, denied=10, degraded=10)
    assert alerts_evaluate(ingest, now=now) == 1
    assert said(alice) == [("service.degraded", {"checks": 100, "degraded": 10, "minutes": 3})]
    assert alerts_evaluate(ingest, now=now + timedelta(seconds=30)) == 0
    later = now + COOL_DOWN
    rows.checks("minute", later - MINUTE, allowed=50, degraded=50)
    assert alerts_evaluate(ingest, now=later - timedelta(seconds=1)) == 0
    assert alerts_evaluate(ingest, now=later) == 1
    assert said(bob) == []


def test_a_few_degraded_answers_or_old_ones_are_not_worth_a_notice(rows, ingest, alice, now):
    rows.checks("minute", now - MINUTE, allowed=90, degraded=9)
    rows.checks("minute", now - 5 * MINUTE, allowed=90, degraded=90)
    assert alerts_evaluate(ingest, now=now) == 0


def test_a_rule_that_denies_very_often_is_said_whoever_it_denies(rows, ingest, alice, rule, now):
    rows.rule("minute", now - 2 * MINUTE, rule.id, allowed=5, denied=600)
    rows.rule("minute", now - 8 * MINUTE, rule.id, denied=399)
    assert alerts_evaluate(ingest, now=now) == 0
    rows.rule("minute", now - 5 * MINUTE, rule.id, denied=1)
    assert alerts_evaluate(ingest, now=now) == 1
    [(kind, context)] = said(alice)
    assert kind == "limit.violations"
    assert context == {"rule": "user-rpm", "rule_id": rule.id, "denied": 1_000, "minutes": 10, "caller": ""}
    assert alerts_evaluate(ingest, now=now + MINUTE) == 0


def test_one_caller_who_is_denied_often_is_named(rows, ingest, alice, rule, now):
    rows.rule("minute", now - 2 * MINUTE, rule.id, denied=400)
    for number in range(4):
        rows.event(
            now - 2 * MINUTE, f"chk_{number}", allowed=False, user="u_911", results=[(rule.id, DENIED)], weight=100
        )
    assert alerts_evaluate(ingest, now=now) == 1
    [(_, context)] = said(alice)
    assert (context["caller"], context["denied"]) == ("u_911", 400)


def test_on_monday_the_week_is_summed_up_once(rows, ingest, alice, bob, rule, now):
    monday = now - timedelta(days=now.weekday())
    monday = monday.replace(hour=9)
    for days, allowed, denied in ((1, 100, 5), (7, 200, 10), (8, 1_000, 0), (14, 30, 3), (15, 9_999, 0), (0, 9_999, 0)):
        rows.checks("day", monday - days * DAY, allowed=allowed, denied=denied)
    rows.rule("day", monday - 2 * DAY, rule.id, denied=15)
    assert digests_send(ingest, now=monday.replace(hour=7)) == 0
    assert digests_send(ingest, now=monday + DAY) == 0
    assert digests_send(ingest, now=monday) == 1
    assert digests_send(ingest, now=monday.replace(hour=23)) == 0
    [(kind, context)] = said(alice)
    assert kind == "usage.weekly"
    assert (context["checks"], context["denied"], context["before"]) == (315, 15, 1_033)
    assert context["rules"] == [["user-rpm", 15]]
    assert said(bob) == []
