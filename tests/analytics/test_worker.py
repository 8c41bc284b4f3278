"""The loop around batches, and what operators ask and tell it."""

import json
import os
import signal
import threading
import time
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.analytics import tasks
from apps.analytics.ingest.worker import Worker, partitions_restart, purge
from apps.analytics.tasks import DRAIN_S, drain, settle
from ratelimiter.engine.applied import DENIED, SHADOW_DENIED, outcome_code
from ratelimiter.events.spool import Spool
from tests.analytics.rig import NOW, NOW_MS, event, rows, sums, wait_for


def answer(command, *arguments, **options):
    out = StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def worker(bus, settings):
    settings.EVENTS_URL = bus.url
    made = Worker()
    yield made
    made.close()


def turns(number):
    """Stops after so many questions."""
    left = iter(range(number))
    return lambda: next(left, None) is None


def test_the_loop_counts_until_it_is_told_to_stop(bus, worker, counting):
    bus.put(*[event() for _ in range(5)])
    bus.put(*[event() for _ in range(5)])
    counted = worker.run(turns(3))
    assert counted.events == 10
    assert sums(counting().connection, "check_hour") == (10, 0, 0, 10)


def test_a_bus_that_is_away_is_waited_for(bus, worker, settings):
    bus.put(event())
    settings.EVENTS_URL = "redis://127.0.0.1:1/0"
    assert worker.run(turns(3)).events == 0
    settings.EVENTS_URL = bus.url
    assert worker.run(turns(2)).events == 1


def test_a_database_that_hangs_up_is_asked_again(bus, worker, counting):
    bus.put(event())
    assert worker.run(turns(2)).events == 1
    [(pid,)] = rows(worker._connection, "SELECT pg_backend_pid()")
    rows(counting().connection, "SELECT pg_terminate_backend(%s)", pid)
    bus.put(event())
    counted = 0
    while not counted:
        counted = worker.run(turns(2)).events
    assert counted == 1
    assert sums(counting().connection, "check_hour")[0] == 2


def test_totals_say_the_same_four_times_and_what_is_under_way(bus, counting, alice, settings, tmp_path):
    settings.SPOOL_DIR = str(tmp_path)
    shadow = [outcome_code(5, SHADOW_DENIED)]
    bus.put(
        *[event(tenant=alice.tenant_id, cost=2) for _ in range(3)],
        event(tenant=alice.tenant_id, allowed=False, results=[outcome_code(5, DENIED)], degraded=True),
        event(tenant=alice.tenant_id, results=shadow),
    )
    bus.put(event(tenant=alice.tenant_id + 1))
    bus.put_raw(b"nonsense")
    counting().all()
    spool = Spool(tmp_path, boot="b", max_bytes=2**24)
    spool.append([event(), event()])
    found = json.loads(answer("analytics_totals", tenant=alice.slug, json=True))
    expected = {"allowed": 4, "denied": 1, "shadow_denied": 1, "degraded": 1, "cost": 7, "checks": 5}
    assert [found[name] for name in ("raw", "minute", "hour", "day")] == [expected] * 4
    assert (found["spooled"], found["dead_letters"]) == (2, 1)
    spool.close()
    nothing = json.loads(answer("analytics_totals", "--tenant", alice.slug, "--until", "2020-01-01", "--json"))
    assert nothing["day"]["checks"] == 0
    assert "dead letters" in answer("analytics_totals", tenant=alice.slug)
    with pytest.raises(CommandError, match="no tenant"):
        answer("analytics_totals", tenant="nobody")


def test_the_lag_is_the_age_of_what_was_counted_last(bus, counting, alice):
    worker = counting()
    now_ms = int(time.time() * 1_000)
    bus.put(event(at_ms=now_ms - 40_000), heard_ms=now_ms - 30_000)
    worker.all()
    found = json.loads(answer("analytics_totals", tenant=alice.slug, json=True))
    assert 30 <= found["lag_s"] < 120
    bus.put(last=True)
    worker.all()
    assert json.loads(answer("analytics_totals", tenant=alice.slug, json=True))["lag_s"] == 0


def test_a_partition_that_was_stopped_goes_on_when_an_operator_says_so(bus, counting):
    worker = counting()
    bus.put(event())
    worker.all()
    worker.connection.execute("UPDATE analytics.consumer_offset SET stopped = 'why' WHERE partition = 0")
    bus.put(event())
    assert counting().all()["events"] == 0
    with pytest.raises(CommandError, match="none"):
        answer("ingest", "--restart", "7")
    assert "restarted 0" in answer("ingest", "--restart", "0", "7")
    assert counting().all()["events"] == 1
    assert partitions_restart(worker.connection, [0]) == []


def test_a_day_is_made_anew_from_its_raw_rows(bus, counting, alice):
    worker = counting()
    bus.put(*[event(tenant=alice.tenant_id) for _ in range(6)])
    worker.all()
    worker.connection.execute("UPDATE analytics.check_hour SET allowed = 1; DELETE FROM analytics.rule_day")
    day = f"{NOW:%Y-%m-%d}"
    assert "done, 6 checks before, 6 after" in answer(
        "analytics_recompute", "--tenant", alice.slug, "--since", day, "--until", day
    )
    assert sums(worker.connection, "check_hour") == sums(worker.connection, "rule_day") == (6, 0, 0, 6)
    worker.connection.execute("DELETE FROM analytics.event")
    with pytest.raises(CommandError, match="1 of the days"):
        answer("analytics_recompute", "--tenant", alice.slug, "--since", day, "--until", day)
    assert sums(worker.connection, "check_hour") == (6, 0, 0, 6)


def test_what_only_told_repeats_goes_when_nothing_can_repeat(bus, counting):
    worker = counting()
    bus.put(event(recorded=True), event(recorded=True))
    worker.all()
    worker.connection.execute(
        "UPDATE analytics.event_once SET claimed_at = now() - interval '73 hours'"
        " WHERE id = (SELECT min(id) FROM analytics.event_once)"
    )
    assert purge(worker.connection) == 1
    assert rows(worker.connection, "SELECT count(*) FROM analytics.event_once") == [(1,)]


def test_the_settling_task_settles_and_folds(bus, counting):
    worker = counting()
    hour_ms = (NOW_MS - 660_000) // 3_600_000 * 3_600_000  # has been over for long enough
    bus.put(*[event(at_ms=hour_ms - 1_000) for _ in range(4)])
    bus.put_heartbeats(range(16), hour_ms + 601_000)
    worker.all()
    settle()
    wait_for(lambda: rows(worker.connection, "SELECT count(*) FROM analytics.dim_hour")[0][0] > 0)
    settled = rows(worker.connection, "SELECT extract(epoch FROM until)::bigint * 1000 FROM analytics.settled")
    assert settled == [(hour_ms,)]


def test_the_drain_task_counts_and_ends_when_the_machine_shuts_down(bus, settings, counting):
    settings.EVENTS_URL = bus.url
    bus.put(event())
    threading.Timer(0.8, os.kill, [os.getpid(), signal.SIGTERM]).start()
    begun = time.monotonic()
    drain()
    assert time.monotonic() - begun < DRAIN_S
    assert sums(counting().connection, "check_hour") == (1, 0, 0, 1)
    tasks._worker().close()
