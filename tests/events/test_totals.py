"""What the sums of events say."""

import msgspec
import pytest

from ratelimiter.engine.applied import DENIED, PASSED, SHADOW_DENIED, outcome_code
from ratelimiter.events.schema import (
    VERSION,
    Event,
    Group,
    Sealed,
    groups_decode_sealed,
    groups_encode,
    record_decode,
    record_encode,
)
from ratelimiter.events.totals import (
    LATENCY,
    LATENCY_BOUNDS_US,
    LATENCY_BUCKETS,
    Totals,
    latency_bucket,
)


def event(number=1, **changes):
    facts = {
        "version": VERSION, "id": f"chk_{number:08x}", "at_ms": 120_000 + number, "latency_us": 500, "tenant": 7,
        "key_id": 3, "live": True, "mode": "consume", "allowed": True, "degraded": False, "reason": "ok", "cost": 2,
        "namespace": "default", "ip": None, "route": None, "user": "u", "attributes": {},
        "results": [outcome_code(1, PASSED)],
    }  # fmt: skip
    return Event(**facts | changes)


def test_a_check_counts_once_however_many_rules_judged_it():
    totals = Totals()
    totals.add(
        [
            event(results=[outcome_code(1, PASSED), outcome_code(2, PASSED), outcome_code(3, SHADOW_DENIED)]),
            event(allowed=False, results=[outcome_code(1, DENIED)]),
        ]
    )
    [(key, row)] = totals.checks.items()
    assert key == (7, 2, "default", True)
    assert row[:LATENCY] == [1, 1, 1, 0, 1, 2]
    assert totals.rules == {(7, 2, 1): [1, 1, 0, 2], (7, 2, 2): [1, 0, 0, 2], (7, 2, 3): [0, 0, 1, 0]}


def test_test_keys_are_not_billable_and_stand_apart():
    totals = Totals()
    totals.add([event(live=False), event(degraded=True)])
    assert totals.checks[(7, 2, "default", False)][:LATENCY] == [1, 0, 0, 0, 0, 2]
    assert totals.checks[(7, 2, "default", True)][:LATENCY] == [1, 0, 0, 1, 1, 2]


def test_adding_up_what_was_collapsed_is_adding_up_the_events():
    events = [
        event(n, tenant=n % 3, at_ms=n * 1_000, latency_us=n * n, results=[outcome_code(n % 5, n % 3)])
        for n in range(500)
    ]
    whole, first, rest = Totals(), Totals(), Totals()
    whole.add(events)
    first.add(events[:200])
    rest.add(events[200:])
    first.merge(rest.collapsed(300))
    assert (first.checks, first.rules) == (whole.checks, whole.rules)
    assert sum(sum(row[LATENCY:]) for row in whole.checks.values()) == 500


@pytest.mark.parametrize("latency_us", [0, 63, 64, 65, 32_767, 32_768, 10**9, -5])
def test_a_latency_is_counted_in_the_first_bucket_that_holds_it(latency_us):
    totals = Totals()
    totals.add([event(latency_us=latency_us)])
    [row] = totals.checks.values()
    bucket = row[LATENCY:].index(1)
    assert bucket == latency_bucket(latency_us)
    assert bucket == LATENCY_BUCKETS - 1 or latency_us <= LATENCY_BOUNDS_US[bucket]
    assert bucket == 0 or latency_us > LATENCY_BOUNDS_US[bucket - 1]


def test_a_record_carries_groups_as_the_door_wrote_them():
    totals = Totals()
    totals.add([event(3)])
    groups = [
        Group(7, 1, [event(1), event(2, attributes={"plan": "pro"})]),
        Group(7, 3, [], heard_ms=99),
        Group(7, 3, [event(4, recorded=True)], collapsed=totals.collapsed(1), last=True),
    ]
    sealed = groups_decode_sealed(groups_encode(groups))
    record = record_decode(record_encode("ab12", sealed))
    assert (record.boot, record.groups) == ("ab12", groups)
    assert [group.count for group in record.groups] == [2, 0, 2]
    with pytest.raises(msgspec.MsgspecError):
        record_decode(record_encode("ab12", [Sealed(0, 1, [msgspec.Raw(b"\x01")])]))
