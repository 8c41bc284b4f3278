"""Days and months in a time zone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelimiter.engine.calendar import cell_at, length_ms
from ratelimiter.engine.interpret import interpret
from ratelimiter.engine.rules import Calendar, CalendarUnit
from tests.engine.rules import prepared, rule

HOUR_MS = 3_600_000


def ms(text):
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def day(zone="UTC"):
    return Calendar(CalendarUnit.DAY, zone)


def month(zone="UTC", anchor=1):
    return Calendar(CalendarUnit.MONTH, zone, anchor)


@pytest.mark.parametrize(
    ("calendar", "at", "start", "end"),
    [
        (day(), "2026-11-25T12:00Z", "2026-11-25T00:00Z", "2026-11-26T00:00Z"),
        (day(), "2026-11-25T00:00Z", "2026-11-25T00:00Z", "2026-11-26T00:00Z"),
        (day("America/New_York"), "2026-11-25T03:00Z", "2026-11-24T05:00Z", "2026-11-25T05:00Z"),
        (day("Asia/Kolkata"), "2026-11-25T18:29:59.999Z", "2026-11-24T18:30Z", "2026-11-25T18:30Z"),
        (day("Europe/Berlin"), "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),  # 23 hours
        (day("Europe/Berlin"), "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),  # 25 hours
        (day("America/Sao_Paulo"), "2018-11-04T12:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z"),  # no midnight
        (day("America/Havana"), "2026-11-01T12:00Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),  # two midnights
        (month(), "2026-02-28T23:59Z", "2026-02-01T00:00Z", "2026-03-01T00:00Z"),
        (month(anchor=15), "2026-11-14T23:59Z", "2026-10-15T00:00Z", "2026-11-15T00:00Z"),
        (month(anchor=31), "2026-02-28T12:00Z", "2026-02-28T00:00Z", "2026-03-31T00:00Z"),
        (month(anchor=31), "2026-02-27T12:00Z", "2026-01-31T00:00Z", "2026-02-28T00:00Z"),
        (month("Australia/Sydney", 1), "2026-12-31T13:30Z", "2026-12-31T13:00Z", "2027-01-31T13:00Z"),
    ],
)
def test_cells(calendar, at, start, end):
    cell = cell_at(calendar, ms(at))
    assert (cell.start_ms, cell.end_ms) == (ms(start), ms(end))
    assert length_ms(calendar, cell.end_ms) == cell.length_ms


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
]


@given(
    at_ms=st.integers(ms("2000-01-01T00:00Z"), ms("2060-01-01T00:00Z")),
    zone=st.sampled_from(ZONES), anchor=st.integers(1, 31), unit=st.sampled_from(list(CalendarUnit)),
)  # fmt: skip
def test_cells_follow_each_other_without_gap(at_ms, zone, anchor, unit):
    calendar = Calendar(unit, zone, anchor)
    cell = cell_at(calendar, at_ms)
    assert cell.start_ms <= at_ms < cell.end_ms < cell.next_end_ms
    following = cell_at(calendar, cell.end_ms)
    assert (following.start_ms, following.end_ms) == (cell.end_ms, cell.next_end_ms)
    assert cell_at(calendar, cell.start_ms) == cell


def test_a_day_of_23_hours_is_counted_as_one(store):
    counted = rule(1, limit=2, window_ms=24 * HOUR_MS, algorithm="fixed_window", calendar=day("Europe/Berlin"))
    start_ms = ms("2026-03-28T23:00Z")

    def check(now_ms):
        ready = prepared(counted)
        reply, offsets = store.run([ready], now_ms=now_ms)
        return interpret(ready, reply, offsets[0])

    first = check(start_ms)
    assert (first.results[0].window_ms, first.reset_ms) == (23 * HOUR_MS, 23 * HOUR_MS)
    assert check(start_ms + 22 * HOUR_MS).allowed
    denied = check(start_ms + 23 * HOUR_MS - 1)
    assert (denied.allowed, denied.retry_after_ms, denied.results[0].window_ms) == (False, 1, 23 * HOUR_MS)
    following = check(start_ms + 23 * HOUR_MS)
    assert (following.allowed, following.remaining, following.results[0].window_ms) == (True, 1, 24 * HOUR_MS)


def test_the_store_s_clock_picks_the_cell_not_the_caller_s(store):
    """Around midnight the caller may take the old day for the present one: the script knows better."""
    counted = rule(1, limit=1, window_ms=24 * HOUR_MS, algorithm="fixed_window", calendar=day())
    midnight_ms = ms("2026-11-26T00:00Z")
    ready = prepared(counted)

    def check(caller_ms, now_ms):
        from ratelimiter.engine.prepare import encode, reply_decode
        from ratelimiter.engine.scripts import check_script

        call = encode([ready], at_ms=caller_ms)
        raw = store.client.eval(check_script().body, len(call.keys), *call.keys, call.argument, now_ms)
        return interpret(ready, reply_decode(raw), 1)

    assert check(midnight_ms - 5, midnight_ms - 5).allowed
    after = check(midnight_ms - 5, midnight_ms + 5)
    assert (after.allowed, after.reset_ms) == (True, 24 * HOUR_MS - 5)
    assert not check(midnight_ms + 5, midnight_ms + 6).allowed


def test_the_anchor_moves_with_the_zone():
    assert datetime.fromtimestamp(cell_at(month("Asia/Tokyo"), ms("2026-11-30T15:00Z")).start_ms / 1_000, UTC) == (
        datetime(2026, 12, 1, tzinfo=UTC) - timedelta(hours=9)
    )
