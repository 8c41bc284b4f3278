"""The replay of a tenant's own day against a rule that is being written."""

import random
import time

import pytest
from django.utils import timezone
from psycopg import sql

from apps.analytics import replaying
from apps.analytics.replaying import replay
from apps.core.scope import tenant_scope
from apps.limits.specs import RuleSpec, spec_verify
from tests.analytics.rows import DAY, HOUR, MINUTE
from tests.factories import override_make, rule_make

pytestmark = pytest.mark.usefixtures("counters")
FRAGMENT = {"HX-Request": "true"}
FORM = {
    "name": "per-user", "action": "limit", "type": "user", "limit": "2", "window_count": "1", "window_unit": "minute",
    "algorithm": "sliding_window", "mode": "enforce", "on_failure": "local", "enabled": "on",
}  # fmt: skip


def spec_of(**fields):
    return spec_verify(RuleSpec(**{"name": "r", "type": "user", "limit": 2, "window_ms": 60_000} | fields))


def run(alice, spec, rule_id=None, now=None):
    with tenant_scope(alice.tenant_id):
        return replay(tenant_id=alice.tenant_id, spec=spec, rule_id=rule_id, now=now or timezone.now())


@pytest.fixture
def day(rows):
    """u_911 asks five times in one second, u_1 twice."""
    at = timezone.now().replace(second=0, microsecond=0) - HOUR
    rows.checks("minute", at, allowed=7)
    for number in range(5):
        rows.event(
            at, f"chk_9{number}", user="u_911", route="POST /v1/chat", ip="203.0.113.9", attributes={"plan": "free"}
        )
    for number in range(2):
        rows.event(at, f"chk_1{number}", user="u_1", route="GET /v1/me")


def test_the_tenants_checks_of_the_last_day_are_replayed(day, rows, alice):
    rows.event(timezone.now() - DAY - HOUR, "chk_old", user="u_911")
    found = run(alice, spec_of())
    assert (found.found.checks, found.found.met, found.found.denied, found.is_whole) == (7, 7, 3, True)
    assert [(one.values, one.denied) for one in found.found.offended] == [(("u_911",), 3)]


@pytest.mark.parametrize(
    ("fields", "met", "denied"),
    [
        ({"match": {"routes": ["POST /v1/chat"]}}, 5, 3),
        ({"match": {"attributes": {"plan": {"equals": "free"}}}}, 5, 3),
        ({"type": "ip"}, 5, 3),
        ({"type": "global"}, 7, 5),
        ({"type": "custom", "key": ("user", "attributes.plan")}, 5, 3),
        ({"namespace": "internal"}, 0, 0),
    ],
)
def test_conditions_and_keys_read_the_text_behind_digests(fields, met, denied, day, alice):
    found = run(alice, spec_of(**fields)).found
    assert (found.met, found.denied) == (met, denied)


def test_pseudonymised_identifiers_are_counted_apart_all_the_same(rows, alice):
    at = timezone.now() - HOUR
    for number in range(3):
        rows.event(at, f"chk_{number}", user="u_911", ip="203.0.113.9", readable=False)
    rows.event(at, "chk_9", user="u_1", ip="203.0.113.10", readable=False)
    assert run(alice, spec_of()).found.denied == 1
    found = run(alice, spec_of(type="ip")).found
    assert (found.met, found.denied, found.offended[0].values[0].split(".")[0] >= "240") == (4, 1, True)


def test_overrides_of_the_rule_that_is_changed_hold(day, alice):
    rule = rule_make(alice.tenant_id, name="per-user", type="user", limit=2)
    override_make(alice.tenant_id, rule.id, values=("u_911",), limit=4)
    assert run(alice, spec_of(), rule_id=rule.id).found.denied == 1
    assert run(alice, spec_of()).found.denied == 3


def test_of_too_many_checks_the_latest_are_replayed_and_it_says_since_when(rows, alice, monkeypatch):
    monkeypatch.setattr(replaying, "MOST", 10)
    at = timezone.now().replace(second=30, microsecond=0) - HOUR
    for minutes in (0, 10, 20):
        rows.checks("minute", at - minutes * MINUTE, allowed=5)
        for number in range(5):
            rows.event(at - minutes * MINUTE, f"chk_{minutes}_{number}", user="u_1")
    found = run(alice, spec_of())
    assert (found.is_whole, found.found.checks) == (False, 10)
    assert at - 20 * MINUTE < found.since <= at - 10 * MINUTE


def test_nobody_replays_another_tenants_checks(bobs_rows, alice, bob):
    for number in range(3):
        bobs_rows.event(timezone.now() - HOUR, f"chk_{number}", user="u_1")
    assert run(alice, spec_of()).found.checks == 0
    assert run(bob, spec_of()).found.denied == 1


def test_the_editor_says_what_the_form_would_have_done_and_saves_nothing(alices, alice, day):
    page = alices.get(f"/t/{alice.slug}/rules/new").content.decode()
    assert f'hx-post="/t/{alice.slug}/rules/replay"' in page
    answer = alices.post(f"/t/{alice.slug}/rules/replay", FORM, headers=FRAGMENT).content.decode()
    assert "<html" not in answer
    assert "would have denied <b>3</b> of <b>7</b> checks (42.9 %), mostly" in answer
    assert "u_911" in answer
    assert "change from:#rule-form" in answer
    whole = alices.post(f"/t/{alice.slug}/rules/replay", FORM).content.decode()
    assert "<html" in whole
    assert "Nothing was saved." in whole
    assert "No rule yet" in alices.get(f"/t/{alice.slug}/rules").content.decode()


def test_a_rule_without_a_name_is_replayed_and_one_that_is_none_says_why(alices, alice, day):
    def say(**fields):
        answer = alices.post(f"/t/{alice.slug}/rules/replay", FORM | fields, headers=FRAGMENT)
        assert answer.status_code == 200
        return answer.content.decode()

    assert "<b>3</b>" in say(name="")
    assert "not a rule yet" in say(limit="")
    assert "Slots cannot be replayed" in say(algorithm="concurrency")


def test_another_tenants_rule_is_not_found(bobs, bob, alice):
    rule = rule_make(alice.tenant_id, name="per-user", type="user")
    assert bobs.post(f"/t/{bob.slug}/rules/replay?rule={rule.id}", FORM).status_code == 404
    assert bobs.post(f"/t/{bob.slug}/rules/replay?rule=x", FORM).status_code == 404


@pytest.mark.slow
def test_a_million_checks_are_replayed_in_seconds(ingest, alice, rows, capsys):
    """The bar is 5 s on a quiet machine; a busy one may take three times as long."""
    until = timezone.now().replace(second=0, microsecond=0)
    chance = random.Random(1)
    users = [rows.identifier("user", f"u_{number}") for number in range(5_000)]
    with (
        ingest.cursor() as cursor,
        cursor.copy(
            sql.SQL(
                "COPY analytics.event (tenant_id, at, id, key_id, live, mode, allowed, degraded, reason, cost,"
                ' latency_us, namespace, weight, "user", results) FROM STDIN'
            )
        ) as copy,
    ):
        for number in range(1_000_000):
            at = until - chance.random() * DAY * 0.99
            user = users[int(chance.paretovariate(0.7)) % len(users)]
            copy.write_row(
                (
                    alice.tenant_id,
                    at,
                    f"chk_{number}",
                    1,
                    True,
                    "consume",
                    True,
                    False,
                    "ok",
                    1,
                    400,
                    "default",
                    1,
                    user,
                    [],
                )
            )
    started = time.process_time()
    found = run(alice, spec_of(limit=100), now=until)
    assert found.found.checks == 1_000_000
    assert found.found.denied > 1_000
    assert time.process_time() - started < 15
    with capsys.disabled():
        print(f"replay of 1,000,000 checks: {found.took_ms} ms")
