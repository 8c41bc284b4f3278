"""Every event once: what batches add, and what they refuse to add twice."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from apps.analytics.identifiers import identifier_digests
from apps.analytics.ingest.worker import identifiers_forget
from apps.analytics.partitions import partitions_ensure
from apps.analytics.services import pseudonymise_set
from apps.core.scope import tenant_scope
from ratelimiter.engine.applied import DENIED, PASSED, SHADOW_DENIED, outcome_code
from ratelimiter.events.schema import Group
from ratelimiter.events.totals import Collapsed, Totals
from tests.analytics.rig import BOTH, NOW, NOW_MS, event, record, rows, sums
from tests.database import as_owner
from tests.events.rig import take

DAY_MS = 86_400_000
GRAINS = ("minute", "hour", "day")


@BOTH
def test_minute_hour_and_day_say_the_same_as_the_raw_rows(bus, counting):
    events = [
        event(
            tenant=16 * (n % 3 + 1), at_ms=NOW_MS - n * 7_000, allowed=n % 4 != 0, live=n % 5 != 0, cost=n % 3 + 1,
            namespace=("default", "other")[n % 2], latency_us=n * 40,
            results=[outcome_code(1, DENIED if n % 4 == 0 else PASSED), outcome_code(2, SHADOW_DENIED)],
        )
        for n in range(900)
    ]  # fmt: skip
    for at in range(0, 900, 50):
        for tenant in (16, 32, 48):
            bus.put(*[one for one in events[at : at + 50] if one.tenant == tenant])
    worker = counting()
    assert worker.all()["events"] == 900
    [raw] = rows(
        worker.connection,
        "SELECT sum(weight) FILTER (WHERE allowed), sum(weight) FILTER (WHERE NOT allowed),"
        " sum(weight) FILTER (WHERE allowed AND 2 = ANY(SELECT unnest(results) & 3)),"
        " sum(weight * cost) FILTER (WHERE allowed) FROM analytics.event",
    )
    for grain in GRAINS:
        assert sums(worker.connection, f"check_{grain}") == raw
        [[buckets]] = rows(worker.connection, f"SELECT sum(n) FROM analytics.check_{grain}, unnest(latency) AS n")
        assert buckets == 900
        assert sums(worker.connection, f"rule_{grain}")[2] == 900
    [[billable]] = rows(worker.connection, "SELECT sum(billable) FROM analytics.check_day")
    assert billable == sum(one.allowed and one.live for one in events)


@BOTH
def test_what_comes_twice_counts_once(bus, counting):
    first = bus.put(*[event() for _ in range(10)])
    second = bus.put(*[event() for _ in range(5)])
    worker = counting()
    for group in (first, second, first):
        bus.put_raw(record([group]))
    counted = worker.all()
    assert (counted["events"], counted["repeated"], counted["missing"]) == (15, 25, 0)
    assert sums(worker.connection, "check_day") == (15, 0, 0, 15)
    assert rows(worker.connection, "SELECT count(*) FROM analytics.event") == [(15,)]


def test_of_a_group_that_comes_longer_again_only_the_rest_counts(bus, counting):
    events = [event() for _ in range(8)]
    worker = counting()
    bus.put_raw(record([Group(0, 1, events[:5])]))
    bus.put_raw(record([Group(0, 3, events[2:])]))
    assert worker.all()["events"] == 8
    assert rows(worker.connection, "SELECT count(DISTINCT id), count(*) FROM analytics.event") == [(8, 8)]


@BOTH
def test_a_heartbeat_tells_of_the_last_event_that_never_came(bus, counting):
    worker = counting()
    bus.put(event(), event())
    bus.put_raw(record([Group(0, 4, [], heard_ms=NOW_MS)]))
    for _ in range(2):
        bus.put_raw(record([Group(0, 4, [event()])]))
    counted = worker.all()
    assert (counted["events"], counted["repeated"], counted["missing"]) == (3, 1, 1)


def test_a_gap_in_the_numbers_is_remembered_and_what_follows_counts(bus, counting):
    worker = counting()
    bus.put_raw(record([Group(0, 1, [event()]), Group(0, 5, [event()])]))
    counted = worker.all()
    assert (counted["events"], counted["missing"]) == (2, 3)
    assert rows(worker.connection, "SELECT boot, partition, first_seq, missing FROM analytics.ingest_gap") == [
        ("boot", 0, 2, 3)
    ]


@BOTH
def test_a_check_on_record_counts_once_whoever_spools_it_and_however_often(bus, counting):
    once = event(recorded=True)
    worker = counting()
    bus.put(once, event(), once)
    bus.put(once, boot="another")
    assert worker.all()["events"] == 2
    bus.put(once, boot="third")
    assert worker.all()["events"] == 0
    assert sums(worker.connection, "check_minute") == (2, 0, 0, 2)


def test_two_tenants_checks_of_one_id_are_two(bus, counting):
    worker = counting()
    bus.put(event(tenant=16, id="chk_00000000", recorded=True))
    bus.put(event(tenant=32, id="chk_00000000", recorded=True))
    assert worker.all()["events"] == 2


@BOTH
def test_what_nobody_can_read_goes_to_the_dead_letters_with_its_reason(bus, counting):
    worker = counting()
    bus.put_raw(b"\xff nonsense")
    bus.put_raw(record([Group(3, 1, [event(tenant=3)])]), partition=4)
    bus.put(event(at_ms=NOW_MS + DAY_MS), event(), event(at_ms=1))
    assert dict(worker.all()) == {"batches": 1, "events": 1, "repeated": 0, "dead": 4, "missing": 0}
    reasons = [reason for (reason,) in rows(worker.connection, "SELECT reason FROM analytics.dead_letter")]
    assert len(reasons) == 4
    assert sum("not to be believed" in reason for reason in reasons) == 2
    assert sum("another partition" in reason for reason in reasons) == 1


@BOTH
def test_what_postgresql_refuses_costs_nobody_else_anything(bus, counting):
    worker = counting()
    bus.put(*[event() for _ in range(3)])
    bus.put(event(cost=2**70 // 2**7))
    bus.put(*[event() for _ in range(4)])
    bus.put(event(tenant=-(2**70) // 2**7))
    counted = worker.all()
    assert sums(worker.connection, "check_day")[0] >= 7
    assert counted["missing"] == 0


@pytest.mark.parametrize(
    "group",
    [
        Group(0, 1, [], heard_ms=2**62),
        Group(0, 1, [], collapsed=Collapsed(1, [((16, 2**40, "default", True), [1] * 38)], [])),
        Group(0, 1, [], collapsed=Collapsed(1, [((16, NOW_MS // 60_000, "default", True), [1])], [])),
        Group(1, 1, [event()]),
    ],
    ids=["a heartbeat of another age", "sums of another age", "sums that are cut short", "another partition"],
)
def test_what_is_not_to_be_believed_is_a_dead_letter_and_holds_up_nobody(bus, counting, group):
    bus.put_raw(record([group]))
    bus.put(event())
    counted = counting().all()
    assert (counted["events"], counted["dead"]) == (1, 1)


def test_text_that_copy_or_postgresql_would_stumble_over_comes_out_as_it_went_in(bus, counting, alice):
    worker = counting()
    tenant = alice.tenant_id
    odd = ["tab\there", "back\\slash", "line\nfeed", "\\N", "{},\"'", "\u202eright", "naïve\r"]
    bus.put(*[event(tenant=tenant, user=text, attributes={text: text}) for text in odd])
    bus.put(event(tenant=tenant, user="nul\0", attributes={"a": "nul\0"}))
    assert worker.all()["events"] == len(odd) + 1
    known = {
        value for (value,) in rows(worker.connection, "SELECT value FROM analytics.identifier WHERE kind = 'user'")
    }
    assert known == {*odd, "nul\N{SYMBOL FOR NULL}"}


def test_late_events_land_in_their_own_minute_while_minutes_are_kept_and_in_their_hour_after(bus, counting):
    with as_owner():
        partitions_ensure(now=NOW, since=NOW - timedelta(days=11))
    worker = counting()
    late_ms = NOW_MS - 2 * DAY_MS
    bus.put(event(at_ms=late_ms))
    bus.put(event(at_ms=NOW_MS - 10 * DAY_MS))
    assert worker.all()["events"] == 2
    minutes = rows(worker.connection, "SELECT (extract(epoch FROM at) * 1000)::bigint FROM analytics.check_minute")
    assert minutes == [(late_ms // 60_000 * 60_000,)]
    assert sums(worker.connection, "check_hour") == sums(worker.connection, "check_day") == (2, 0, 0, 2)


@BOTH
def test_collapsed_events_count_as_what_they_stand_for(bus, counting):
    events = [event(allowed=n % 2 == 0, cost=3) for n in range(40)]
    totals = Totals()
    totals.add(events[2:])
    group = Group(0, 1, events[:2], collapsed=totals.collapsed(38))
    worker = counting()
    bus.put_raw(record([group]))
    bus.put_raw(record([group]))
    bus.put_raw(record([Group(0, 41, [event()])]))
    counted = worker.all()
    assert (counted["events"], counted["missing"], counted["dead"]) == (41, 0, 0)
    assert sums(worker.connection, "check_hour") == (21, 20, 0, 61)
    assert rows(worker.connection, "SELECT count(*) FROM analytics.event") == [(3,)]


def test_past_its_budget_a_tenants_raw_rows_are_sampled_and_say_what_they_stand_for(bus, counting):
    worker = counting(raw_a_minute=64)
    for _ in range(10):
        bus.put(*[event() for _ in range(100)])
    bus.put(*[event(tenant=32) for _ in range(60)])
    worker.all()
    [(kept, stands_for, most)] = rows(
        worker.connection, "SELECT count(*), sum(weight), max(weight) FROM analytics.event WHERE tenant_id = 16"
    )
    assert kept < 300
    assert abs(stands_for - 1_000) < 16
    assert most == 16
    assert sums(worker.connection, "check_day")[0] == 1_060
    assert rows(worker.connection, "SELECT count(*) FROM analytics.event WHERE tenant_id = 32") == [(60,)]


def test_a_pseudonymous_tenants_identifiers_are_kept_as_digests_only(bus, counting, alice):
    from apps.analytics.models import Identifier, Preference

    tenant = alice.tenant_id
    with tenant_scope(tenant):
        Preference.objects.create(tenant_id=tenant, pseudonymise=True)
    worker = counting()
    bus.put(event(tenant=tenant, user="anna@example.com", attributes={"card": "4111"}), event(tenant=tenant))
    worker.all()
    with tenant_scope(tenant):
        assert [row.kind for row in Identifier.objects.all()] == ["route"]
    assert rows(worker.connection, 'SELECT count(DISTINCT "user"), count(DISTINCT ip) FROM analytics.event') == [(2, 1)]


@BOTH
class TestTwoWorkers:
    def test_a_partition_belongs_to_one_at_a_time(self, bus, counting):
        one, other = counting(partitions=16), counting(partitions=16)
        for number in range(64):
            bus.put(event(tenant=number + 1))
        with one.connection.transaction():
            assert len(one.ingest._partitions_lock()) == 16
            assert other.ingest._partitions_lock() == {}
        other.connection.rollback()
        assert one.all()["events"] + other.all()["events"] == 64

    def test_idle_partitions_do_not_keep_one_from_the_busy_ones(self, bus, counting):
        worker = counting(partitions=4)
        for _ in range(2):
            for tenant in (3, 9, 15):
                bus.put(event(tenant=tenant))
            assert sum(worker.ingest.batch(now=datetime.now(UTC)).events for _ in range(4)) == 3

    def test_taking_turns_they_count_everything_once(self, bus, counting):
        workers = [counting(partitions=5) for _ in range(3)]
        for turn in range(12):
            bus.put(*[event(tenant=turn + 1) for _ in range(10)])
            bus.put(*[event(tenant=turn + 2) for _ in range(10)], boot="other")
            workers[turn % 3].ingest.batch(now=datetime.now(UTC))
        workers[0].all()
        assert sum(worker.all()["events"] for worker in workers) == 0
        assert sums(workers[0].connection, "check_day")[0] == 240


@BOTH
def test_a_batch_that_fails_has_not_happened(bus, counting, monkeypatch):
    from apps.analytics.ingest import write

    bus.put(*[event() for _ in range(10)])
    worker = counting()

    def fail(*_):
        raise psycopg.OperationalError("the server went away")

    monkeypatch.setattr(write, "progress_write", fail)
    with pytest.raises(psycopg.OperationalError):
        worker.all()
    monkeypatch.undo()
    assert sums(worker.connection, "check_day") == (0, 0, 0, 0)
    other = counting()
    assert other.all()["events"] == 10
    assert rows(other.connection, "SELECT count(*) FROM analytics.identifier") == [(3,)]


@BOTH
def test_a_topic_made_anew_stops_ingest_instead_of_starting_over(bus, counting):
    bus.put(event())
    worker = counting()
    worker.all()
    bus.carrier.topic_remake()
    bus.put(event())
    assert worker.all()["events"] == 0
    [(stopped,)] = rows(worker.connection, "SELECT stopped FROM analytics.consumer_offset WHERE partition = 0")
    assert "not the one" in stopped


@BOTH
def test_what_the_bus_lost_before_it_was_counted_stops_its_partition_and_no_other(bus, counting):
    worker = counting()
    bus.put(event())
    worker.all()
    for _ in range(5):
        bus.put(event())
        bus.put(event(tenant=17))
    messages, _ = take(worker.reader, 6, {0: ""})
    bus.carrier.records_lose(0, before=messages[-1].position)
    assert worker.all()["events"] == 5
    stopped = rows(worker.connection, "SELECT partition, stopped FROM analytics.consumer_offset WHERE stopped <> ''")
    assert [(partition, "does not hold" in reason) for partition, reason in stopped] == [(0, True)]


def test_events_of_a_settled_hour_land_in_it_and_are_noted_as_late(bus, counting):
    worker = counting()
    bus.put(event())
    worker.all()
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    worker.connection.execute("UPDATE analytics.settled SET until = %s", [hour])
    bus.put(event(at_ms=NOW_MS - 2 * 3_600_000), event(at_ms=NOW_MS + int(timedelta(seconds=1).total_seconds())))
    worker.all()
    assert rows(worker.connection, "SELECT tenant_id, checks FROM analytics.late_hour") == [(16, 1)]


def test_what_was_readable_before_is_forgotten_and_can_still_be_searched(bus, counting, alice):
    worker = counting()
    bus.put(event(tenant=alice.tenant_id, user="u_old", ip="198.51.100.7", route="GET /kept"))
    worker.all()
    with tenant_scope(alice.tenant_id):
        pseudonymise_set(tenant_id=alice.tenant_id, pseudonymise=True)
    identifiers_forget(worker.connection)
    bus.put(event(tenant=alice.tenant_id, user="u_old", ip="198.51.100.7", route="GET /kept"))
    worker.all()
    known = rows(worker.connection, "SELECT kind, value FROM analytics.identifier")
    assert known == [("route", "GET /kept")]
    [(user,)] = rows(worker.connection, 'SELECT DISTINCT "user" FROM analytics.event')
    with tenant_scope(alice.tenant_id):
        assert identifier_digests("u_old")["user"] == [user]
        assert identifier_digests("GET /kept")["route"] != []
        assert identifier_digests("u_other").get("user") != [user]
