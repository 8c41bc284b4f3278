"""Quiet hours in the tenant's zone, over midnight, and where clocks change."""

from datetime import UTC, datetime

import pytest

from apps.notifications.quiet import quiet_end


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "zone", "now", "end"),
    [
        ((1_320, 420), "UTC", "2026-05-01T21:59", None),
        ((1_320, 420), "UTC", "2026-05-01T22:00", "2026-05-02T07:00"),
        ((1_320, 420), "UTC", "2026-05-02T06:59", "2026-05-02T07:00"),
        ((1_320, 420), "UTC", "2026-05-02T07:00", None),
        ((720, 780), "UTC", "2026-05-01T12:30", "2026-05-01T13:00"),
        ((1_320, 420), "Europe/Berlin", "2026-05-01T20:30", "2026-05-02T05:00"),
        ((1_320, 420), "Asia/Kolkata", "2026-05-01T17:00", "2026-05-02T01:30"),
        ((60, 240), "Europe/Berlin", "2026-03-29T00:30", "2026-03-29T02:00"),  # 2 to 3 is missing
        ((60, 240), "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T03:00"),  # 2 to 3 comes twice
        ((None, None), "UTC", "2026-05-01T03:00", None),
    ],
)
def test_quiet_ends(span, zone, now, end):
    found = quiet_end(quiet_from=span[0], quiet_until=span[1], zone=zone, now=at(now))
    assert (found and found.astimezone(UTC)) == (end and at(end))
