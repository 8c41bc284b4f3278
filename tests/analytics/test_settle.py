"""Which hours are whole, what is made of whole hours, and what goes when its time is over."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.analytics import partitions
from apps.analytics.ingest import fold
from apps.analytics.ingest.fold import hours_fold
from apps.analytics.ingest.settle import settle
from apps.analytics.tables import TABLES, Width, span_of
from ratelimiter.engine.applied import DENIED, PASSED, SHADOW_DENIED, outcome_code
from ratelimiter.events.spool import PARTITIONS
from tests.analytics.rig import NOW, event, rows, sums
from tests.database import as_owner

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
BEGIN = NOW.replace(minute=0, second=0, microsecond=0) - 3 * HOUR  # of the hour that is to settle
END = BEGIN + HOUR


def ms(moment):
    return int(moment.timestamp() * 1_000)


@pytest.fixture
def worker(counting):
    return counting()


@pytest.fixture
def heard(bus, worker):
    """Door `boot` says in every partition, or some, that it has spooled everything before `moment`."""

    def say(boot, moment, *, partitions=range(PARTITIONS), last=False):
        bus.put_heartbeats(partitions, ms(moment), boot=boot, last=last)
        worker.all()

    return say


@pytest.fixture
def settled(worker):
    return lambda now=NOW: settle(worker.connection, now=now).until


class TestSettling:
    def test_an_hour_waits_for_every_partition_of_every_door(self, heard, settled):
        heard("a", END + 11 * MINUTE)
        heard("b", END + 11 * MINUTE, partitions=range(1, PARTITIONS))
        heard("b", END + 9 * MINUTE, partitions=[0])
        assert settled() == BEGIN
        heard("b", END + 10 * MINUTE, partitions=[0])
        assert settled() == END

    def test_it_never_goes_back(self, heard, settled):
        heard("a", END + 11 * MINUTE)
        assert settled() == END
        heard("b", BEGIN - HOUR)
        assert settled() == END

    def test_a_door_that_said_farewell_is_waited_for_no_longer(self, heard, settled):
        heard("a", END + MINUTE)
        heard("b", END + 11 * MINUTE)
        assert settled() == BEGIN
        heard("a", END + 2 * MINUTE, last=True)
        assert settled() == END

    def test_a_clock_that_is_ahead_settles_nothing_early(self, heard, settled):
        heard("a", NOW + 50 * MINUTE)
        assert settled() == (NOW - 10 * MINUTE).replace(minute=0, second=0, microsecond=0)

    def test_a_silent_door_is_left_out_after_a_quarter_of_an_hour_with_an_alarm(self, heard, worker, caplog):
        heard("dead", END - 5 * MINUTE)
        heard("b", END + 9 * MINUTE)
        assert settle(worker.connection, now=NOW).left_out == []
        heard("b", END + 11 * MINUTE)
        done = settle(worker.connection, now=NOW)
        assert (done.left_out, done.until) == (["dead"], END)
        assert "door_left_out" in caplog.text
        assert settle(worker.connection, now=NOW).left_out == []

    def test_when_all_are_silent_nobody_is_left_out(self, heard, worker):
        heard("a", BEGIN)
        heard("b", BEGIN + 5 * MINUTE)
        done = settle(worker.connection, now=NOW)
        assert (done.left_out, done.until) == ([], BEGIN - HOUR)

    def test_checks_of_a_door_that_comes_back_are_late_and_count(self, bus, heard, worker, settled):
        heard("dead", BEGIN)
        heard("b", END + 11 * MINUTE)
        settled()
        bus.put(*[event(at_ms=ms(BEGIN + MINUTE)) for _ in range(3)], boot="dead")
        worker.all()
        assert sums(worker.connection, "check_hour")[0] == 3
        assert rows(worker.connection, "SELECT tenant_id, at, checks FROM analytics.late_hour") == [(16, BEGIN, 3)]
        heard("b", END + HOUR + 11 * MINUTE)
        heard("dead", END + HOUR + 5 * MINUTE)
        assert settled() == END  # it is waited for again


class TestFolding:
    def dims(self, worker):
        return rows(
            worker.connection,
            "SELECT d.dimension, coalesce(i.value, d.digest::text), allowed, denied, cost FROM analytics.dim_hour d"
            " LEFT JOIN analytics.identifier i USING (tenant_id, digest) ORDER BY 1, allowed + denied DESC, 2",
        )

    def offenders(self, worker):
        return rows(
            worker.connection,
            "SELECT o.rule_id, i.value, denied, shadow_denied FROM analytics.offender_hour o"
            " JOIN analytics.identifier i USING (tenant_id, digest) WHERE dimension = 'user' ORDER BY 1, 3 DESC, 2",
        )

    def put_traffic(self, bus):
        at_ms = ms(BEGIN + 5 * MINUTE)
        bus.put(
            *[event(at_ms=at_ms, user="good", route="GET /a", cost=2) for _ in range(5)],
            *[
                event(at_ms=at_ms, user="bad", route="GET /b", allowed=False, results=[outcome_code(1, DENIED)])
                for _ in range(3)
            ],
            event(
                at_ms=at_ms, user="odd", route=None, results=[outcome_code(1, PASSED), outcome_code(2, SHADOW_DENIED)]
            ),
        )

    def test_a_settled_hour_is_folded_exactly_and_again_is_the_same(self, bus, heard, worker, settled):
        self.put_traffic(bus)
        heard("boot", END + 11 * MINUTE)
        assert hours_fold(worker.connection, now=NOW) == 0  # it has not settled
        settled()
        assert hours_fold(worker.connection, now=NOW) > 0
        expected = [
            ("ip", "203.0.113.9", 6, 3, 11), ("key", "3", 6, 3, 11), ("route", "GET /a", 5, 0, 10),
            ("route", "GET /b", 0, 3, 0), ("user", "good", 5, 0, 10), ("user", "bad", 0, 3, 0),
            ("user", "odd", 1, 0, 1),
        ]  # fmt: skip
        assert self.dims(worker) == expected
        assert self.offenders(worker) == [(1, "bad", 3, 0), (2, "odd", 0, 1)]
        worker.connection.execute("UPDATE analytics.folded SET until = 'epoch'")
        hours_fold(worker.connection, now=NOW)
        assert self.dims(worker) == expected

    def test_all_but_the_first_share_a_row(self, bus, heard, worker, settled, monkeypatch):
        monkeypatch.setattr(fold, "FIRST_OF_DIMENSION", 2)
        self.put_traffic(bus)
        heard("boot", END + 11 * MINUTE)
        settled()
        hours_fold(worker.connection, now=NOW)
        users = [row for row in self.dims(worker) if row[0] == "user"]
        assert users == [("user", "good", 5, 0, 10), ("user", "bad", 0, 3, 0), ("user", "0", 1, 0, 1)]

    def test_an_hour_that_got_late_checks_is_folded_again(self, bus, heard, worker, settled):
        self.put_traffic(bus)
        heard("boot", END + 11 * MINUTE)
        settled()
        hours_fold(worker.connection, now=NOW)
        bus.put(event(at_ms=ms(BEGIN + MINUTE), user="good", cost=1), boot="late")
        worker.all()
        hours_fold(worker.connection, now=datetime.now(UTC))
        assert ("user", "good", 6, 0, 11) in self.dims(worker)


class TestRetention:
    def test_a_partition_is_made_ahead_and_goes_when_its_last_row_is_due(self, transactional_db):
        with as_owner():
            partitions.partitions_ensure(now=NOW, since=NOW - timedelta(days=400))
            before = self.spans()
            dropped = set(partitions.expired_drop(now=NOW))
            after = self.spans()
            assert partitions.expired_drop(now=NOW) == []
        due = {name for name, (table, span) in before.items() if span.ends_at + table.keep <= NOW}
        assert dropped == due
        assert after.keys() == before.keys() - due
        for table in TABLES:
            spans = sorted(span.starts_at for kept, span in after.values() if kept is table)
            ends = sorted(span.ends_at for kept, span in after.values() if kept is table)
            assert spans[1:] == ends[:-1]  # no hole
            assert spans[0] <= NOW - table.keep < ends[0] or table.width is not Width.DAY
            assert ends[-1] > NOW + timedelta(days=3)

    def spans(self):
        return {name: (table, span_of(name, table)) for table in TABLES for name, _ in partitions._partitions(table)}
