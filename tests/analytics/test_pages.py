"""The pages that show what was counted: their numbers, who sees them, and how many questions they ask."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.analytics.rows import HOUR, MINUTE

pytestmark = pytest.mark.usefixtures("counters")
FRAGMENT = {"HX-Request": "true"}


def read(client, path, status=200, **headers):
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    return answer.content.decode()


def chart_in(page, source):
    found = re.search(rf'<script id="{source}" type="application/json">(.*?)</script>', page)
    return json.loads(found[1])


def test_the_overview_shows_the_last_hour_as_it_is_now(alices, alice, rows):
    now = timezone.now()
    rows.checks("minute", now - 5 * MINUTE, allowed=90, denied=10, shadow=3, degraded=2, us=800)
    page = read(alices, f"/t/{alice.slug}/")
    assert "100 in the last hour" in page
    assert "last hour: 10 denied" in page
    assert "10 %" in page
    assert re.search(r"0\.\d\d ms", page)
    data = chart_in(page, "live-series")
    assert len(data["x"]) in (60, 61)
    assert [sum(data[name]) for name in ("allowed", "shadow", "denied", "degraded")] == [87, 3, 10, 2]
    rows.checks("minute", now, allowed=600)
    fragment = read(alices, f"/t/{alice.slug}/", **FRAGMENT)
    assert "<html" not in fragment
    assert sum(chart_in(fragment, "live-series")["allowed"]) == 687
    assert "700 in the last hour" in fragment


def test_the_quota_says_where_the_present_pace_ends(alices, alice, rows):
    now = timezone.now()
    assert "At no pace yet." in read(alices, f"/t/{alice.slug}/")
    rows.checks("hour", now - 2 * timedelta(days=1), billable=7_000_000)
    page = read(alices, f"/t/{alice.slug}/")
    assert "At the pace of the last 7 days the 10,000,000 checks are used up" in page


@pytest.mark.parametrize("view", ["", "?view=table"])
def test_the_overview_asks_no_more_than_fifteen_questions(view, alices, alice, rows, django_assert_max_num_queries):
    for minute in range(60):
        rows.checks("minute", timezone.now() - minute * MINUTE, allowed=10)
    read(alices, f"/t/{alice.slug}/")  # the session remembers the tenant
    with django_assert_max_num_queries(15):
        page = read(alices, f"/t/{alice.slug}/{view}")
    assert ("<table" in page) is bool(view)


def test_every_chart_can_be_read_as_a_table(alices, alice, rows):
    rows.checks("minute", timezone.now() - HOUR / 2, allowed=4_321, denied=12)
    page = read(alices, f"/t/{alice.slug}/?view=table")
    assert "data-chart=" not in page
    assert re.search(r'data-label="Allowed"[^>]*>4,321<', page)
    assert "view=table" in read(alices, f"/t/{alice.slug}/")


def test_the_overview_shows_nothing_of_others(alices, alice, bobs_rows):
    bobs_rows.checks("minute", timezone.now() - MINUTE, allowed=77)
    page = read(alices, f"/t/{alice.slug}/")
    assert "0 in the last hour" in page
    assert sum(chart_in(page, "live-series")["allowed"]) == 0
