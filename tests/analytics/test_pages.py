"""The pages that show what was counted: their numbers, who sees them, and how many questions they ask."""

import csv
import json
import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from apps.analytics import models
from apps.analytics.selectors import is_pseudonymised
from apps.analytics.services import marker_create
from apps.analytics.views import export
from apps.core.scope import tenant_scope
from apps.plans.services import plan_set
from tests.analytics.rows import DAY, DENIED, HOUR, MINUTE, PASSED
from tests.factories import rule_make

# Inside the transaction of the test itself the scope is a savepoint, and closes by a statement of its own.
OF_THE_TEST = 3
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
    assert "It takes a day of checks to tell the pace." in read(alices, f"/t/{alice.slug}/")
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


@pytest.fixture
def busy(rows, alice):
    """A day of Alice's: a rule that denies u_911, a deploy, and what there was the day before."""
    now = timezone.now()
    rule = rule_make(alice.tenant_id, name="per-user", type="user", limit=5, window_ms=60_000)
    rows.checks("minute", now - HOUR, allowed=900, denied=100, us=700)
    rows.checks("minute", now - 25 * HOUR, allowed=480, denied=20)
    rows.checks("minute", now - 2 * HOUR, allowed=10, namespace="internal")
    rows.rule("minute", now - HOUR, rule.id, allowed=900, denied=100)
    rows.dimension(now - 3 * HOUR, "route", "POST /v1/chat", allowed=600, denied=90)
    rows.dimension(now - 3 * HOUR, "user", "u_911", denied=90)
    rows.offender(now - 3 * HOUR, rule.id, "user", "u_911", denied=90)
    rows.event(
        now - HOUR, "chk_denied", allowed=False, user="u_911", ip="203.0.113.9", route="POST /v1/chat",
        results=[(rule.id, DENIED)], attributes={"plan": "=free"},
    )  # fmt: skip
    rows.event(now - HOUR, "chk_passed", user="u_1", results=[(rule.id, PASSED)], weight=4)
    with tenant_scope(alice.tenant_id):
        marker_create(tenant_id=alice.tenant_id, kind="deploy", text="v42", at=now - HOUR)
    return rule


def test_traffic_is_shown_beside_the_time_before(alices, alice, busy):
    page = read(alices, f"/t/{alice.slug}/traffic")
    assert '<span class="number">1,010</span>' in page
    assert "+102 % against" in page
    assert re.search(r"9\.9 %", page)
    data = chart_in(page, "traffic-series")
    assert (sum(data["denied"]), sum(filter(None, data["before"]))) == (100, 500)
    assert data["markers"][0]["text"] == "v42"
    assert "v42" in page
    alone = chart_in(read(alices, f"/t/{alice.slug}/traffic?compare=none"), "traffic-series")
    assert "before" not in alone


def test_where_no_minutes_are_kept_of_the_time_before_each_step_has_its_part_of_the_hour(alices, alice, rows):
    at = timezone.now().replace(minute=0, second=0, microsecond=0) - 7 * DAY - 5 * HOUR
    rows.checks("hour", at, allowed=120)
    data = chart_in(read(alices, f"/t/{alice.slug}/traffic?compare=week"), "traffic-series")
    assert [value for value in data["before"] if value] == [10] * 12
    page = read(alices, f"/t/{alice.slug}/traffic?compare=week")
    assert 'against <span class="number">120</span>' in page


def test_traffic_is_of_one_namespace_where_that_is_asked(alices, alice, busy):
    page = read(alices, f"/t/{alice.slug}/traffic?namespace=internal")
    assert sum(chart_in(page, "traffic-series")["allowed"]) == 10


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("rule", "per-user</a>"), ("route", "POST /v1/chat</a>"), ("user", "u_911</a>"), ("ip", "203.0.113.9</a>"),
        ("key", "key 1</a>"), ("namespace", "internal</a>"), ("nonsense", "per-user</a>"),
    ],
)  # fmt: skip
def test_traffic_is_broken_down_by(by, words, alices, alice, busy):
    assert words in read(alices, f"/t/{alice.slug}/traffic?by={by}")


def test_a_range_is_picked_in_a_zone_and_stays_in_the_pickers(alices, alice, busy):
    page = read(alices, f"/t/{alice.slug}/traffic?range=7d&zone=Asia/Tokyo&compare=week")
    assert chart_in(page, "traffic-series")["zone"] == "Asia/Tokyo"
    for chosen in (
        '<option value="7d" selected>',
        '<option value="Asia/Tokyo" selected>',
        '<option value="week" selected>',
    ):
        assert chosen in page


def test_a_range_of_ones_own_is_read_in_the_picked_zone(alices, alice, rows):
    at = timezone.now().replace(minute=0, second=0, microsecond=0) - 5 * HOUR
    rows.checks("minute", at, allowed=5)
    local = at.astimezone(ZoneInfo("Asia/Tokyo"))
    since, until = (f"{moment:%Y-%m-%dT%H:%M}" for moment in (local, local + HOUR))
    query = f"range=custom&since={since}&until={until}&zone=Asia/Tokyo"
    page = read(alices, f"/t/{alice.slug}/traffic?{query}")
    data = chart_in(page, "traffic-series")
    assert (len(data["x"]), data["allowed"][0]) == (60, 5)
    assert f'value="{since}"' in page
    assert "This is the last day instead" not in read(alices, f"/t/{alice.slug}/traffic?range=custom")


@pytest.mark.parametrize("query", ["range=2h", "since=nonsense", "zone=Mars/Olympus", "compare=x", "since=2030-01-01"])
def test_a_range_that_cannot_be_is_said_and_the_last_day_shown(query, alices, alice, busy):
    page = read(alices, f"/t/{alice.slug}/traffic?{query}")
    assert "This is the last day instead." in page
    assert sum(chart_in(page, "traffic-series")["denied"]) == 100


def test_a_plan_hides_what_is_older_and_says_so(alices, alice, rows):
    rows.checks("hour", timezone.now() - 10 * DAY, allowed=77)
    rows.checks("day", timezone.now() - 10 * DAY, allowed=77)
    plan_set(tenant_id=alice.tenant_id, code="free")
    page = read(alices, f"/t/{alice.slug}/traffic?range=30d")
    assert "The Free plan shows the last 7 days." in page
    assert sum(chart_in(page, "traffic-series")["allowed"]) == 0
    plan_set(tenant_id=alice.tenant_id, code="startup")
    page = read(alices, f"/t/{alice.slug}/traffic?range=30d")
    assert "plan shows the last" not in page
    assert sum(chart_in(page, "traffic-series")["allowed"]) == 77


def test_a_rule_has_a_page_of_its_traffic_and_a_glance_where_it_is_written(alices, alice, busy):
    page = read(alices, f"/t/{alice.slug}/rules/{busy.id}/traffic")
    assert sum(chart_in(page, "rule-series")["denied"]) == 100
    assert "u_911" in page
    assert f'hx-get="/t/{alice.slug}/rules/{busy.id}/glance"' in read(alices, f"/t/{alice.slug}/rules/{busy.id}")
    glance = read(alices, f"/t/{alice.slug}/rules/{busy.id}/glance")
    assert "100 denied (10 %), mostly" in glance


def test_offenders_are_of_all_rules_or_of_one(alices, alice, busy, rows):
    rows.offender(timezone.now() - 3 * HOUR, 99, "ip", "198.51.100.7", denied=5)
    everybody = read(alices, f"/t/{alice.slug}/offenders")
    assert everybody.index("u_911") < everybody.index("198.51.100.7")
    assert "198.51.100.7" not in read(alices, f"/t/{alice.slug}/offenders?rule={busy.id}")


def test_the_explorer_says_why_a_check_was_denied(alices, alice, busy):
    page = read(alices, f"/t/{alice.slug}/explorer?q=chk_denied")
    assert 'id="chk_denied"' in page
    assert 'id="chk_passed"' not in page
    why = read(alices, f"/t/{alice.slug}/explorer/chk_denied", **FRAGMENT)
    assert "<html" not in why
    for words in ("Denied by", "per-user</a>", 'user <code class="id">u_911</code>', "The counter was full.", "=free"):
        assert words in why
    assert "For each" in why  # the rule as a sentence
    assert "<html" in read(alices, f"/t/{alice.slug}/explorer/chk_denied")


def test_the_explorer_finds_by_identifier_and_keeps_the_question(alices, alice, busy):
    page = read(alices, f"/t/{alice.slug}/explorer?q=u_911&outcome=denied")
    assert 'value="u_911"' in page
    assert '<option value="denied" selected>' in page
    assert 'id="chk_denied"' in page
    assert "No check fits" in read(alices, f"/t/{alice.slug}/explorer?q=u_nobody")
    assert "× 4" in read(alices, f"/t/{alice.slug}/explorer")


def test_the_explorer_turns_pages(alices, alice, rows):
    for number in range(60):
        rows.event(timezone.now() - number * MINUTE, f"chk_{number:02d}")
    first = read(alices, f"/t/{alice.slug}/explorer")
    older = re.search(r'href="(\?after=[^"]+)"', first)[1]
    second = read(alices, f"/t/{alice.slug}/explorer{older}")
    ids = [re.findall(r'<li class="check" id="(chk_\d+)"', page) for page in (first, second)]
    assert [len(found) for found in ids] == [50, 10]
    assert len(set(ids[0] + ids[1])) == 60


@pytest.mark.parametrize("query", ["rule=x", "outcome=maybe", "after=nonsense", "key=-1"])
def test_a_search_that_cannot_be_is_said(query, alices, alice, busy):
    assert "Start over" in read(alices, f"/t/{alice.slug}/explorer?{query}", status=422)


def test_the_live_tail_brings_what_came_since_and_asks_on_from_there(alices, alice, rows):
    rows.event(timezone.now() - MINUTE, "chk_1", user="u_1")
    page = read(alices, f"/t/{alice.slug}/explorer?tail=1&outcome=allowed")
    assert 'id="chk_1"' in page
    poll = re.search(r'hx-get="([^"]+tail[^"]+)"', page)[1].replace("&amp;", "&")
    rows.event(timezone.now(), "chk_2")
    rows.event(timezone.now(), "chk_3", allowed=False)
    fragment = read(alices, poll, **FRAGMENT)
    assert 'hx-swap-oob="afterbegin:#checks"' in fragment
    assert re.findall(r'id="(chk_\d)"', fragment) == ["chk_2", "chk_1"]  # a little again: the browser knows which
    following = re.search(r'hx-get="([^"]+tail[^"]+)"', fragment)[1].replace("&amp;", "&")
    assert following != poll
    assert read(alices, following, **FRAGMENT).count('hx-get="' + following.replace("&", "&amp;")) == 1


def test_a_deploy_is_marked_on_the_time_axis(alices, alice):
    answer = alices.post(
        f"/t/{alice.slug}/traffic/markers", {"text": "v2.1", "next": f"/t/{alice.slug}/traffic?range=7d"}
    )
    assert (answer.status_code, answer["Location"]) == (302, f"/t/{alice.slug}/traffic?range=7d")
    page = read(alices, f"/t/{alice.slug}/traffic")
    assert "v2.1 is marked." in page
    assert [marker["text"] for marker in chart_in(page, "traffic-series")["markers"]] == ["v2.1"]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"text": ""}, "required"), ({"text": "x", "at": "2999-01-01T00:00"}, "in the future"),
        ({"text": "x" * 81}, "at most 80"),
    ],
)  # fmt: skip
def test_a_marker_that_cannot_be_is_refused(sent, words, alices, alice):
    answer = alices.post(f"/t/{alice.slug}/traffic/markers", sent | {"next": "https://elsewhere.example/"}, follow=True)
    assert answer.redirect_chain == [(f"/t/{alice.slug}/traffic", 302)]
    assert words in answer.content.decode()
    with tenant_scope(alice.tenant_id):
        assert not models.Marker.objects.exists()


def test_a_role_that_edits_no_rules_marks_nothing(as_role, alice):
    viewer = as_role("viewer")
    assert "Mark a deploy" not in read(viewer, f"/t/{alice.slug}/traffic")
    assert viewer.post(f"/t/{alice.slug}/traffic/markers", {"text": "v1"}).status_code == 403


def test_identifiers_are_pseudonymised_for_who_says_so_and_for_nobody_else(alices, alice, bob):
    assert "checked" not in read(alices, f"/t/{alice.slug}/privacy")
    alices.post(f"/t/{alice.slug}/privacy", {"pseudonymise": "on"})
    assert "checked" in read(alices, f"/t/{alice.slug}/privacy")
    for member, held in ((alice, True), (bob, False)):
        with tenant_scope(member.tenant_id):
            assert is_pseudonymised(member.tenant_id) is held
    alices.post(f"/t/{alice.slug}/privacy", {})
    with tenant_scope(alice.tenant_id):
        assert not is_pseudonymised(alice.tenant_id)


def test_who_may_not_change_the_organisation_reads_how_identifiers_are_kept(as_role, alice):
    viewer = as_role("viewer")
    assert "kept readable" in read(viewer, f"/t/{alice.slug}/privacy")
    assert viewer.post(f"/t/{alice.slug}/privacy", {"pseudonymise": "on"}).status_code == 403


def csv_of(client, path, status=200):
    answer = client.get(path)
    assert answer.status_code == status
    return list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))


def test_traffic_is_exported_as_it_is_shown(alices, alice, busy):
    answer = alices.get(f"/t/{alice.slug}/traffic.csv?range=24h")
    assert answer.streaming
    assert answer["Content-Disposition"] == 'attachment; filename="traffic.csv"'
    table = csv_of(alices, f"/t/{alice.slug}/traffic.csv?range=24h")
    assert sum(int(row["checks"]) for row in table) == 1_010
    assert datetime.fromisoformat(table[0]["from"]).tzinfo
    by_rule = csv_of(alices, f"/t/{alice.slug}/traffic.csv?range=24h&rule={busy.id}")
    assert sum(int(row["denied"]) for row in by_rule) == 100


def test_checks_are_exported_page_by_page_and_formulas_are_harmless(alices, alice, rows, monkeypatch):
    monkeypatch.setattr(export, "PAGE", 4)
    for number in range(10):
        rows.event(timezone.now() - number * MINUTE, f"chk_{number}", user="=HYPERLINK(1)")
    answer = alices.get(f"/t/{alice.slug}/explorer.csv?user=%3DHYPERLINK(1)")
    assert answer.streaming
    table = csv_of(alices, f"/t/{alice.slug}/explorer.csv?user=%3DHYPERLINK(1)")
    assert [row["id"] for row in table] == [f"chk_{number}" for number in range(10)]
    assert {row["user"] for row in table} == {"'=HYPERLINK(1)"}


@pytest.mark.parametrize("path", ["traffic.csv?range=2h", "explorer.csv?outcome=maybe", "traffic.csv?rule=x"])
def test_an_export_that_cannot_be_is_refused(path, alices, alice):
    assert "Use " in read(alices, f"/t/{alice.slug}/{path}", status=400) or path.endswith("rule=x")


PAGES = [
    "traffic", "traffic?range=7d&compare=week", *(f"traffic?by={by}" for by in ("rule", "route", "key", "user", "ip")),
    "traffic?view=table", "explorer", "explorer?q=u_911&outcome=denied", "explorer?tail=1", "explorer/chk_denied",
    "offenders", "privacy",
]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_no_more_than_fifteen_questions(path, alices, alice, busy, django_assert_max_num_queries):
    with django_assert_max_num_queries(15 + OF_THE_TEST):
        read(alices, f"/t/{alice.slug}/{path}")


def test_a_rules_page_asks_no_more_than_fifteen_questions(alices, alice, busy, django_assert_max_num_queries):
    with django_assert_max_num_queries(15 + OF_THE_TEST):
        read(alices, f"/t/{alice.slug}/rules/{busy.id}/traffic")


@pytest.mark.parametrize("path", ["traffic?by=user", "explorer", "explorer?q=u_911", "offenders", "traffic?by=route"])
def test_no_page_shows_anything_of_another_tenant(path, bobs, bob, busy):
    page = read(bobs, f"/t/{bob.slug}/{path}")
    for theirs in ("u_911", "chk_denied", "POST /v1/chat", "per-user", "v42"):
        assert theirs not in page.replace('value="u_911"', "").replace("q=u_911", "")


def test_the_list_of_rules_shows_the_last_hour_of_each(alices, alice, rows):
    rule = rule_make(alice.tenant_id, name="per-user", type="user")
    rows.rule("minute", timezone.now() - 10 * MINUTE, rule.id, allowed=30, denied=10)
    rows.rule("minute", timezone.now() - 10 * MINUTE, rule.id + 1, denied=10)  # which is deleted
    asked = re.search(r'hx-get="([^"]*/rules/sparks[^"]*)"', read(alices, f"/t/{alice.slug}/rules"))[1]
    sparks = read(alices, asked)
    assert f'id="spark-{rule.id}"' in sparks
    assert re.search(r"25 % of .*40.* denied, last hour", sparks)
    assert sparks.count("<rect") == 2 * 13
    assert f"spark-{rule.id + 1}" not in sparks


def test_nobody_sees_another_tenants_rules_hours(alices, alice, bobs_rows):
    bobs_rows.rule("minute", timezone.now() - 10 * MINUTE, 5, denied=10)
    assert "<rect" not in read(alices, f"/t/{alice.slug}/rules/sparks?rules=5")


def test_a_check_that_is_not_counted_yet_says_so(alices, alice):
    answer = alices.get(f"/t/{alice.slug}/explorer/chk_1f")
    assert answer.status_code == 404
    assert "is counted within three seconds" in answer.content.decode()
