"""What is read of rollups and raw rows: ranges, sums, percentiles, who is behind them, and what a plan hides."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.analytics import events as explorer
from apps.analytics import models
from apps.analytics.breakdowns import breakdown, namespaces, offenders
from apps.analytics.burn import burn, usage
from apps.analytics.events import Filter, SearchTooLong, cursor_read
from apps.analytics.histogram import percentile_us
from apps.analytics.identifiers import pseudonym
from apps.analytics.ranges import (
    Comparison,
    Range,
    Step,
    range_between,
    range_compared,
    range_preset,
    range_stepped,
)
from apps.analytics.selectors import (
    Totals,
    markers,
    rate_now,
    rule_series,
    rule_totals,
    series,
    series_compared,
    totals,
    totals_of,
)
from apps.core.errors import Invalid
from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.plans.selectors import quota_of
from ratelimiter.events.totals import LATENCY_BOUNDS_US, latency_bucket
from tests.analytics.rows import DAY, DENIED, HOUR, MINUTE, PASSED, SHADOW_DENIED, hour_of, latency
from tests.database import owner_connection
from tests.factories import key_make, rule_make

UTC_ZONE, BERLIN, KOLKATA = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")


@pytest.fixture
def now():
    """Half past an hour, so that nothing lies on an edge by chance."""
    return hour_of(timezone.now()) - HOUR + timedelta(minutes=30)


def span(now, preset="24h", *, days=90, zone=UTC_ZONE):
    return range_preset(preset=preset, now=now, retention_days=days, zone=zone)


@pytest.mark.parametrize(
    ("preset", "step", "grain"),
    [
        ("1h", "1m", "minute"), ("6h", "1m", "minute"), ("24h", "5m", "minute"), ("3d", "15m", "minute"),
        ("7d", "1h", "hour"), ("30d", "1d", "day"), ("90d", "1d", "hour"),
    ],
)  # fmt: skip
def test_a_range_is_read_in_steps_that_make_a_few_hundred_points(preset, step, grain):
    held = span(datetime(2026, 5, 5, 12, 30, tzinfo=UTC), preset)
    assert (held.step, 7 <= len(held.buckets()) <= 400) == (step, True)
    # A plan's end lies within a day, so that day is summed from its hours.
    assert held.grain == grain


def test_minutes_are_not_asked_for_where_none_are_kept(now):
    old = range_between(since=now - 5 * DAY, until=now - 5 * DAY + HOUR, now=now, retention_days=30, zone=UTC_ZONE)
    assert (old.step, old.grain) == (Step.HOUR, "hour")
    with pytest.raises(Invalid, match="too fine"):
        range_stepped(old, Step.MINUTE)


def test_a_plan_caps_how_far_back_one_looks(now):
    held = span(now, "30d", days=7)
    assert held.is_capped
    assert held.since == hour_of(now - 7 * DAY)
    assert not span(now, "7d", days=7).is_capped
    with pytest.raises(Invalid, match="Your plan shows the last 7 days"):
        range_between(since=now - 20 * DAY, until=now - 10 * DAY, now=now, retention_days=7, zone=UTC_ZONE)
    assert range_compared(span(now, "7d", days=7), Comparison.BEFORE) is None
    assert range_compared(span(now, "24h", days=7), Comparison.BEFORE) is not None


@pytest.mark.parametrize(
    ("since", "until", "words"), [(2, 3, "range is empty"), (500, 1, "too long"), (-1, -2, "has not begun")]
)
def test_a_range_that_is_none_is_refused(since, until, words, now):
    with pytest.raises(Invalid, match=words):
        range_between(since=now - since * DAY, until=now - until * DAY, now=now, retention_days=365, zone=UTC_ZONE)


def test_what_is_compared_is_as_long_and_ends_where_the_range_begins_or_a_week_before(now):
    held = span(now, "24h")
    before, week = (range_compared(held, how) for how in (Comparison.BEFORE, Comparison.WEEK))
    assert (before.until, before.until - before.since) == (held.since, held.until - held.since)
    assert held.since - week.since >= 7 * DAY
    assert week.grain == "hour"
    assert range_compared(held, Comparison.NONE) is None


@pytest.mark.parametrize("comparison", [Comparison.BEFORE, Comparison.WEEK])
@pytest.mark.parametrize("preset", ["1h", "24h", "7d", "30d"])
@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN])
def test_two_ranges_read_together_are_the_two_read_alone(preset, comparison, zone, rows, alice, now):
    for days in (0.02, 1.5, 4, 7.02, 8.5, 12, 31, 40):
        at = now - days * DAY
        for grain in ("hour", "day", *(("minute",) if days < 2.9 else ())):
            rows.checks(grain, at, allowed=int(10 * days) + 1)
        rows.rule("hour", at, 7, allowed=1, denied=int(days))
    held = span(now, preset, zone=zone)
    before = range_compared(held, comparison)
    with tenant_scope(alice.tenant_id):
        assert series_compared(held, before) == (series(held), series(before))
        together = series_compared(held, before, rule_id=7)
        assert together == (rule_series(held, rule_id=7), rule_series(before, rule_id=7))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_local_day_has_its_own_hours(day, hours):
    begin = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    now = begin.astimezone(UTC) + 20 * DAY
    held = Range(begin.astimezone(UTC), now, Step.DAY, BERLIN, begin - DAY, now, begin)
    first, second, *_ = held.buckets()
    assert second - first == hours * HOUR
    assert len(held.buckets()) in (20, 21)


def test_local_days_are_summed_from_the_hours_that_begin_in_them(rows, alice, now):
    midnight = datetime(now.year, now.month, now.day, tzinfo=BERLIN).astimezone(UTC) - 2 * DAY
    rows.checks("hour", midnight - HOUR, allowed=1)
    rows.checks("hour", midnight, allowed=10)
    rows.checks("hour", midnight + 23 * HOUR, allowed=100)
    with tenant_scope(alice.tenant_id):
        found = {point.at: point.totals.checks for point in series(span(now, "30d", zone=BERLIN))}
    assert found[midnight] == 110
    assert sum(found.values()) == 111
    assert not span(now, "30d", zone=BERLIN).is_shifted
    assert span(now, "30d", zone=KOLKATA).is_shifted


def test_every_step_is_there_and_holds_what_was_counted(rows, alice, now):
    rows.checks("minute", now - 10 * MINUTE, allowed=5, denied=2, shadow=1, degraded=1)
    rows.checks("minute", now - 10 * MINUTE, allowed=1, namespace="internal", live=False)
    rows.checks("minute", now - 2 * HOUR, allowed=50)
    with tenant_scope(alice.tenant_id):
        points = series(span(now, "1h"))
        assert len(points) == 60
        assert [point.totals.checks for point in points if point.totals.checks] == [8]
        held = totals_of(points)
        assert (held.allowed, held.denied, held.shadow_denied, held.degraded, held.billable) == (6, 2, 1, 1, 5)
        assert held.block_rate == 0.25
        assert held == totals(span(now, "1h"))
        assert totals(span(now, "1h"), namespace="internal").checks == 1
        assert totals_of(series(span(now, "1h"), live=False)).checks == 1
        assert namespaces(span(now, "1h")) == []  # no hour was written


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN])
def test_days_minutes_and_hours_tell_the_same(zone, rows, alice, now):
    rows.everywhere(now - 20 * MINUTE, allowed=7, denied=3)
    with tenant_scope(alice.tenant_id):
        for preset in ("1h", "7d", "30d"):
            held = span(now, preset, zone=zone)
            assert (totals(held).allowed, totals_of(series(held)).denied) == (7, 3)


def test_percentiles_fall_into_the_bucket_that_was_measured():
    held = latency(us300=98, us9000=2)
    bound = LATENCY_BOUNDS_US[latency_bucket(300)]
    assert bound / 1.5 < percentile_us(held, 50) <= bound
    assert percentile_us(held, 95) <= bound
    assert 6_000 < percentile_us(held, 99) < 12_000
    assert percentile_us([0] * 32, 99) is None
    assert percentile_us(latency(us99000000=1), 50) == LATENCY_BOUNDS_US[-1]


@given(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=200), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_within_a_bucket_of_the_true_one(values, percent):
    counts = [0] * 32
    for value in values:
        counts[latency_bucket(value)] += 1
    true = sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
    found = percentile_us(counts, percent)
    assert latency_bucket(round(found)) in {latency_bucket(true), latency_bucket(true) - 1, latency_bucket(true) + 1}


def test_the_rate_is_of_the_last_sixty_seconds(rows, alice):
    now = timezone.now().replace(second=15, microsecond=0) - HOUR
    rows.checks("minute", now, allowed=30)
    rows.checks("minute", now - MINUTE, allowed=120)
    with tenant_scope(alice.tenant_id):
        assert rate_now(series(span(now, "1h")), now=now) == pytest.approx((30 + 120 * 0.75) / 60)


def test_a_rule_has_a_series_of_its_own(rows, alice, now):
    rows.rule("minute", now - 5 * MINUTE, 7, allowed=8, denied=2, shadow=1)
    rows.rule("minute", now - 5 * MINUTE, 8, allowed=100)
    with tenant_scope(alice.tenant_id):
        held = totals_of(rule_series(span(now, "1h"), rule_id=7))
        assert (held.allowed, held.denied, held.shadow_denied, held.checks) == (9, 2, 1, 11)
        assert rule_totals(span(now, "1h"), rule_id=8).allowed == 100


def test_rules_and_namespaces_are_broken_down_largest_first(rows, alice, now):
    rule = rule_make(alice.tenant_id, name="per-user", type="user")
    rows.rule("minute", now - 5 * MINUTE, rule.id, allowed=5, denied=5)
    rows.rule("minute", now - 5 * MINUTE, 99, allowed=100)
    rows.rule("minute", now - 5 * MINUTE, 0, allowed=1)
    rows.checks("minute", now - 5 * MINUTE, allowed=3, namespace="internal")
    with tenant_scope(alice.tenant_id):
        held = breakdown(span(now, "1h"), by="rule", rules=rules_of(alice.tenant_id), tenant_id=alice.tenant_id)
        assert [(row.label, row.checks, row.denied) for row in held.rows] == [
            ("rule 99", 100, 0),
            ("per-user", 10, 5),
            ("limits that came with the check", 1, 0),
        ]
        cut = breakdown(span(now, "1h"), by="rule", tenant_id=alice.tenant_id, limit=1)
        assert (cut.rest.label, cut.rest.checks) == ("2 others", 11)
        by_namespace = breakdown(span(now, "1h"), by="namespace", tenant_id=alice.tenant_id)
        assert [(row.key, row.allowed) for row in by_namespace.rows] == [("internal", 3)]
        with pytest.raises(Invalid, match="no dimension"):
            breakdown(span(now, "1h"), by="colour", tenant_id=alice.tenant_id)


def test_routes_come_from_folded_hours_and_from_raw_rows_since(rows, alice, now):
    rows.dimension(now - 3 * HOUR, "route", "POST /v1/chat", allowed=100, denied=10)
    rows.dimension(now - 3 * HOUR, "route", 0, allowed=7)
    rows.event(now - 5 * MINUTE, "chk_1", route="POST /v1/chat", weight=4)
    rows.event(now - 5 * MINUTE, "chk_2", route="GET /v1/me", allowed=False)
    rows.event(now - 3 * HOUR, "chk_3", route="GET /v1/me", weight=1000)  # its hour is folded without it
    whole = Totals(allowed=111, denied=11, cost=111)
    with tenant_scope(alice.tenant_id):
        held = breakdown(span(now), by="route", tenant_id=alice.tenant_id, whole=whole)
    assert [(row.label, row.allowed, row.denied) for row in held.rows] == [
        ("POST /v1/chat", 104, 10),
        ("GET /v1/me", 0, 1),
    ]
    assert (held.rest.allowed, held.is_sampled) == (7, False)


def test_keys_read_by_their_names(rows, alice, now):
    key = key_make(alice.tenant_id).key
    rows.dimension(now - 3 * HOUR, "key", key.id, allowed=9)
    rows.dimension(now - 3 * HOUR, "key", 123, allowed=1)
    with tenant_scope(alice.tenant_id):
        held = breakdown(span(now), by="key", tenant_id=alice.tenant_id)
    assert [row.label for row in held.rows] == ["api", "key 123"]


def test_of_very_many_raw_rows_only_the_latest_are_looked_at(rows, alice, now, monkeypatch):
    from apps.analytics import breakdowns

    monkeypatch.setattr(breakdowns, "RAW_ROWS", 3)
    for number in range(6):
        rows.event(now - (number + 1) * MINUTE, f"chk_{number}", user=f"u_{number}")
    with tenant_scope(alice.tenant_id):
        held = breakdown(span(now, "1h"), by="user", tenant_id=alice.tenant_id)
    assert held.is_sampled
    assert {row.label for row in held.rows} == {"u_0", "u_1", "u_2"}


def test_offenders_are_those_whom_a_rule_denied_most(rows, alice, now):
    rows.offender(now - 3 * HOUR, 7, "user", "u_911", denied=50)
    rows.offender(now - 3 * HOUR, 7, "ip", "203.0.113.9", denied=20, shadow=3)
    rows.offender(now - 3 * HOUR, 8, "user", "u_1", denied=500)
    rows.dimension(now - 3 * HOUR, "user", "u_911", denied=50)
    rows.event(now - MINUTE, "chk_1", user="u_911", allowed=False, results=[(7, DENIED)], weight=2)
    rows.event(now - MINUTE, "chk_2", user="u_2", results=[(7, SHADOW_DENIED)])
    rows.event(now - MINUTE, "chk_3", user="u_3", results=[(7, PASSED)])
    with tenant_scope(alice.tenant_id):
        held = offenders(span(now), rule_id=7)
        assert [(one.label, one.denied, one.shadow_denied) for one in held] == [
            ("u_911", 52, 0),
            ("203.0.113.9", 20, 3),
            ("u_2", 0, 1),
        ]
        assert offenders(span(now))[0].label == "u_1"


def test_a_pseudonymised_identifier_reads_as_its_digest_and_is_found_by_it(rows, alice, now):
    rows.event(now - MINUTE, "chk_1", user="u_911", allowed=False, readable=False)
    with tenant_scope(alice.tenant_id):
        (found,) = explorer.events(span(now), Filter(user="u_911")).events or (None,)
        assert found is None
        (one,) = explorer.events(span(now), Filter()).events
        assert one.user == pseudonym(models.Event.objects.get().user)
        assert one.user.startswith("#")
        assert [event.id for event in explorer.events(span(now), Filter(text=one.user)).events] == ["chk_1"]


FILTERS = {
    "outcome": (Filter(outcome="denied"), ["chk_d"]),
    "degraded": (Filter(outcome="degraded"), ["chk_g"]),
    "shadow": (Filter(outcome="shadow_denied"), ["chk_s"]),
    "rule": (Filter(rule_id=7), ["chk_s", "chk_d"]),
    "rule and outcome": (Filter(rule_id=7, outcome="denied"), ["chk_d"]),
    "key": (Filter(key_id=5), ["chk_g"]),
    "route": (Filter(route="POST /v1/chat"), ["chk_d"]),
    "user": (Filter(user="u_1"), ["chk_s", "chk_d"]),
    "ip": (Filter(ip="203.0.113.9"), ["chk_g"]),
    "any identifier": (Filter(text="u_1"), ["chk_s", "chk_d"]),
    "an attribute": (Filter(text="gpt"), ["chk_a"]),
    "a check's id in the same field": (Filter(text="chk_g"), ["chk_g"]),
    "check id": (Filter(check_id="chk_s"), ["chk_s"]),
    "namespace": (Filter(namespace="internal"), ["chk_a"]),
    "nobody": (Filter(user="u_2"), []),
}


@pytest.mark.parametrize("name", FILTERS)
def test_the_explorer_filters_by(name, rows, alice, now):
    rows.event(now - 4 * MINUTE, "chk_d", allowed=False, route="POST /v1/chat", user="u_1", results=[(7, DENIED)])
    rows.event(now - 3 * MINUTE, "chk_g", degraded=True, ip="203.0.113.9", key_id=5)
    rows.event(now - 2 * MINUTE, "chk_s", user="u_1", results=[(8, PASSED), (7, SHADOW_DENIED)])
    rows.event(now - 1 * MINUTE, "chk_a", namespace="internal", attributes={"model": "gpt"})
    wanted, ids = FILTERS[name]
    with tenant_scope(alice.tenant_id):
        assert [event.id for event in explorer.events(span(now), wanted).events] == ids


def test_an_event_says_what_each_rule_said(rows, alice, now):
    rows.event(now - MINUTE, "chk_1", results=[(8, PASSED), (7, SHADOW_DENIED)], attributes={"model": "gpt"})
    with tenant_scope(alice.tenant_id):
        (event,) = explorer.events(span(now), Filter()).events
    assert [(said.rule_id, said.outcome) for said in event.results] == [(8, "passed"), (7, "shadow_denied")]
    assert (event.outcome, event.attributes, event.latency_us) == ("shadow_denied", {"model": "gpt"}, 420)


def test_pages_neither_skip_nor_repeat_where_times_are_the_same(rows, alice, now):
    for number in range(25):
        rows.event(now - (number // 5) * MINUTE - MINUTE, f"chk_{number:02d}")
    seen, cursor = [], None
    with tenant_scope(alice.tenant_id):
        while True:
            page = explorer.events(span(now), Filter(), after=cursor, limit=4)
            seen += [event.id for event in page.events]
            rows.event(now - 30 * timedelta(seconds=1), f"chk_new_{len(seen)}")  # comes in meanwhile
            if page.next is None:
                break
            cursor = cursor_read(page.next.written())
    assert len(seen) == len(set(seen)) == 25
    assert seen == [event.id for event in sorted_events(alice, seen)]


def sorted_events(alice, ids):
    with tenant_scope(alice.tenant_id):
        return list(models.Event.objects.filter(id__in=ids).order_by("-at", "-id"))


def test_the_live_tail_shows_what_came_since(rows, alice, now):
    rows.event(now - 2 * MINUTE, "chk_1")
    with tenant_scope(alice.tenant_id):
        (first,) = explorer.events_newer(span(now), Filter(), since=now - HOUR)
        rows.event(now - MINUTE, "chk_2")
        rows.event(now - 3 * MINUTE, "chk_0")
        assert [event.id for event in explorer.events_newer(span(now), Filter(), since=first.at)] == ["chk_2"]
        assert [event.id for event in explorer.events_newer(span(now), Filter(), since=now - HOUR, limit=2)] == [
            "chk_2",
            "chk_1",
        ]


@pytest.mark.parametrize("text", ["", "nonsense", "2026", "MjAyNi0wMS0wMXxh", "ä"])
def test_a_cursor_that_is_none_is_refused(text):
    with pytest.raises(Invalid):
        cursor_read(text)


def test_a_search_that_takes_too_long_is_ended_and_leaves_the_scope_open(rows, alice, now, monkeypatch):
    rows.event(now - MINUTE, "chk_1")
    monkeypatch.setattr(explorer, "LONGEST_MS", 100)
    with tenant_scope(alice.tenant_id):
        with owner_connection() as owner, owner.transaction():
            owner.execute("LOCK TABLE analytics.event IN ACCESS EXCLUSIVE MODE")  # whoever reads now waits
            with pytest.raises(SearchTooLong):
                explorer.events(span(now), Filter())
        assert models.Event.objects.count() == 1


def test_a_plan_hides_checks_and_deletes_none(rows, alice, now):
    rows.event(now - 2 * DAY, "chk_old", user="u_1")
    rows.checks("hour", now - 10 * DAY, allowed=40)
    with tenant_scope(alice.tenant_id):
        assert explorer.events(span(now, "3d", days=1), Filter(check_id="chk_old")).events == ()
        assert totals(span(now, "30d", days=7, zone=BERLIN)).checks == 0
        assert len(explorer.events(span(now, "3d", days=7), Filter(check_id="chk_old")).events) == 1
        assert totals(span(now, "30d", days=30, zone=BERLIN)).checks == 40


def test_nobody_sees_another_tenants_numbers(rows, bobs_rows, alice, bob, now):
    bobs_rows.everywhere(now - MINUTE, allowed=5, denied=5)
    bobs_rows.rule("minute", now - MINUTE, 7, denied=5)
    bobs_rows.dimension(now - 2 * HOUR, "user", "u_1", allowed=5)
    bobs_rows.offender(now - 2 * HOUR, 7, "user", "u_1", denied=5)
    bobs_rows.event(now - MINUTE, "chk_bobs", user="u_1", allowed=False, results=[(7, DENIED)])
    with tenant_scope(bob.tenant_id):
        models.Marker.objects.create(tenant_id=bob.tenant_id, at=now - MINUTE, kind="deploy", text="v1")
    held = span(now)
    with tenant_scope(alice.tenant_id):
        assert totals(held).checks == rule_totals(held, rule_id=7).denied == 0
        assert breakdown(held, by="user", tenant_id=alice.tenant_id).rows == ()
        assert breakdown(held, by="rule", tenant_id=alice.tenant_id).rows == ()
        assert offenders(held) == markers(held) == namespaces(held) == []
        assert explorer.events(held, Filter(check_id="chk_bobs")).events == ()
        assert explorer.events(held, Filter(user="u_1")).events == ()
    with tenant_scope(bob.tenant_id):
        assert totals(held).checks == 10
        assert offenders(held)[0].denied == 6


def test_markers_are_deploys_and_the_last_change_of_each_rule(alice, now):
    rule_make(alice.tenant_id, name="per-user", type="user")
    later = timezone.now() + MINUTE
    with tenant_scope(alice.tenant_id):
        models.Marker.objects.create(tenant_id=alice.tenant_id, at=later - HOUR, kind="deploy", text="v42")
        found = markers(span(later), rules=rules_of(alice.tenant_id))
    assert [(one.kind, one.text) for one in found] == [("deploy", "v42"), ("rule", "per-user written")]


def test_the_forecast_goes_on_at_the_pace_of_the_last_week(rows, alice):
    quota = quota_of(alice.tenant_id, timezone.now())
    now = quota.period.starts_at + 10 * DAY + timedelta(minutes=1)
    rows.checks("hour", now - 2 * DAY, billable=70_000)
    with tenant_scope(alice.tenant_id):
        counted = usage(quota=quota, now=now)
    held = burn(quota=quota, counted=500_000, usage=counted, now=now)
    assert held.used == 500_000
    pace = 70_000 / (now - hour_of(now - 2 * DAY)).total_seconds()
    left_s = (quota.period.ends_at - now).total_seconds()
    assert held.forecast == pytest.approx(500_000 + pace * left_s, abs=1)
    assert held.runs_out_at is None
    near = burn(quota=quota, counted=quota.included_checks - 1_000, usage=counted, now=now)
    assert near.runs_out_at == pytest.approx(now + timedelta(seconds=1_000 / pace), abs=timedelta(seconds=1))


def test_what_ingest_has_counted_is_used_where_doors_know_less(rows, alice):
    now = timezone.now()
    quota = quota_of(alice.tenant_id, now + HOUR)
    rows.checks("hour", quota.period.starts_at, billable=1_234)
    with tenant_scope(alice.tenant_id):
        counted = usage(quota=quota, now=now + HOUR)
    assert burn(quota=quota, counted=0, usage=counted, now=now + HOUR).used == 1_234


def test_the_first_moment_of_a_range_is_in_it_and_the_last_is_not(rows, alice):
    now = hour_of(timezone.now())
    held = range_between(since=now - 2 * HOUR, until=now - HOUR, now=now, retention_days=7, zone=UTC_ZONE)
    rows.checks("minute", now - 2 * HOUR, allowed=1)
    rows.checks("minute", now - HOUR, allowed=10)
    with tenant_scope(alice.tenant_id):
        assert totals(held).checks == 1
