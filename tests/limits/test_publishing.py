"""Redis ends up holding what PostgreSQL says, whatever was lost on the way."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from django.utils import timezone

from apps.apikeys.services import key_revoke
from apps.core.errors import Invalid
from apps.core.scope import tenant_scope
from apps.limits import publishing
from apps.limits.selectors import counts_month, counts_today, first_check_seen, live_doors
from apps.limits.services import rule_delete, rule_enabled_set, rule_update, sharding_set
from apps.plans.services import plan_changed, plan_set, spend_cap_set
from apps.tenants.models import KeyIndex
from apps.tenants.selectors import tenant_get
from apps.tenants.services import tenant_suspend
from config.celery import app
from ratelimiter.engine import keys
from ratelimiter.engine.clock import unix_ms
from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import RuleSet, Sharding
from ratelimiter.engine.rules import MAX_UNITS, Action, Calendar, CalendarUnit, Escalation
from ratelimiter.snapshot.model import identity_decode, snapshot_decode
from ratelimiter.snapshot.publish import Publisher
from ratelimiter.snapshot.watch import Heartbeat
from tests.factories import MemberFactory, SpecFactory, key_make, override_make, rule_make

pytestmark = pytest.mark.usefixtures("counters")


@pytest.fixture
def published(django_capture_on_commit_callbacks, tasks_run_at_once):
    """Commits and publishes, as a worker does, whatever is done inside."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def snapshot_of(member, redis):
    blob = redis.get(keys.snapshot(member.tenant_id))
    return None if blob is None else snapshot_decode(blob)


def digest_of(key_id):
    return KeyIndex.objects.get(key_id=key_id).digest


def test_a_rule_reaches_redis_after_its_commit(alice, counters, published):
    with published():
        rule_make(
            alice.tenant_id,
            name="chat",
            type="custom",
            key=("user", "attributes.plan"),
            match={"route": "POST /v1/chat", "attributes": {"plan": ["free", "pro"]}},
            algorithm="token_bucket",
            burst=200,
            mode="shadow",
            on_failure="open",
            priority=3,
            ipv6_prefix=48,
        )
    snapshot = snapshot_of(alice, counters)
    assert snapshot.revision == tenant_get(alice.tenant_id).revision
    (rule,) = snapshot.rules
    assert (rule.name, rule.key, rule.burst, rule.mode) == ("chat", ("user", "attributes.plan"), 200, "shadow")
    assert rule.match.attributes["plan"].one_of == ("free", "pro")
    RuleSet(alice.tenant_id, snapshot.rules)


def test_only_enabled_rules_are_published_and_deleted_ones_go(alice, counters, published):
    with published():
        kept, off, gone = (rule_make(alice.tenant_id, name=name) for name in ("kept", "off", "gone"))
    with published(), tenant_scope(alice.tenant_id):
        rule_enabled_set(tenant_id=alice.tenant_id, rule_id=off.id, enabled=False)
        rule_delete(tenant_id=alice.tenant_id, rule_id=gone.id)
    assert [rule.id for rule in snapshot_of(alice, counters).rules] == [kept.id]


def test_every_kind_of_rule_is_published_as_the_engine_has_it(alice, counters, published):
    with published():
        rule_make(alice.tenant_id, name="slots", algorithm="concurrency", limit=20, window_ms=300_000)
        rule_make(
            alice.tenant_id, name="monthly", algorithm="fixed_window", window_ms=0, calendar_unit="month",
            calendar_zone="Europe/Berlin", calendar_anchor=15, lease=10,
            escalation_breaches=5, escalation_within_ms=60_000, escalation_block_ms=600_000,
        )  # fmt: skip
        rule_make(
            alice.tenant_id, name="gate", action="deny", limit=0, window_ms=0, match={"ip": "203.0.113.0/24"}
        )  # fmt: skip
    rules = {rule.name: rule for rule in snapshot_of(alice, counters).rules}
    assert (rules["slots"].algorithm, rules["slots"].window_ms) == ("concurrency", 300_000)
    assert rules["monthly"].calendar == Calendar(CalendarUnit.MONTH, "Europe/Berlin", 15)
    assert rules["monthly"].escalation == Escalation(5, 60_000, 600_000)
    assert (rules["monthly"].lease, rules["monthly"].window_ms) == (10, 30 * 86_400_000)
    assert (rules["gate"].action, rules["gate"].limit) == (Action.DENY, 0)
    assert rules["slots"].calendar is None
    assert rules["slots"].escalation is None


def test_overrides_decide_in_the_engine_and_those_that_are_over_are_left_out(alice, counters, published):
    soon = timezone.now() + timedelta(hours=1)
    with published():
        rule = rule_make(alice.tenant_id, name="user", type="user", limit=10)
        off = rule_make(alice.tenant_id, name="off", type="user", enabled=False)
        override_make(alice.tenant_id, off.id)
        override_make(alice.tenant_id, rule.id, ["vip"], None)
        override_make(alice.tenant_id, rule.id, ["bad-*"], 0)
        override_make(alice.tenant_id, rule.id, ["soon"], 7, expires_at=soon)
        override_make(alice.tenant_id, rule.id, ["over"], 7, expires_at=timezone.now())
    snapshot = snapshot_of(alice, counters)
    assert list(snapshot.overrides) == [rule.id]
    rule_set = snapshot.rule_set()

    def limit_of(user):
        (applied,) = rule_set.select(Check(user=user), live=True, now_ms=unix_ms()).rules
        return applied.limit

    assert [limit_of(user) for user in ("u_1", "vip", "bad-9", "soon", "over")] == [10, MAX_UNITS, 0, 7, 10]


def test_namespaces_of_disabled_rules_are_known_too(alice, counters, published):
    with published():
        rule_make(alice.tenant_id, name="off", namespace="search", enabled=False)
        rule_make(alice.tenant_id, name="on")
    assert snapshot_of(alice, counters).namespaces == ("default", "search")


def test_the_plan_says_which_limits_a_check_may_bring_and_how_many_checks_there_are(counters, published, db):
    with published():
        member = MemberFactory(plan="free")
    snapshot = snapshot_of(member, counters)
    assert (snapshot.inline_types, snapshot.quota.cap) == (("global",), 110_000)
    with published():
        plan_set(tenant_id=member.tenant_id, code="professional")
    changed = snapshot_of(member, counters)
    assert changed.revision == snapshot.revision + 1
    assert (changed.inline_types, changed.quota.cap) == (("global", "ip", "route", "user", "custom"), 0)
    with published():
        spend_cap_set(tenant_id=member.tenant_id, cents=1_000)
    assert snapshot_of(member, counters).quota.cap == 10_333_333


def test_a_plan_that_staff_edit_is_published_to_everybody_on_it(alice, bob, counters, sent):
    from apps.tenants.services import tenant_create

    plan_set(tenant_id=bob.tenant_id, code="startup")
    unplanned = tenant_create(name="New", owner_id=None).id
    publishing.sweep(now=timezone.now())
    before = tenant_get(bob.tenant_id).revision
    plan_changed(code="professional")
    assert publishing.sweep(now=timezone.now()).snapshots == 1
    plan_changed(code="free")
    assert publishing.sweep(now=timezone.now()).snapshots == 1
    assert (tenant_get(bob.tenant_id).revision, tenant_get(unplanned).revision) == (before, 2)


def test_a_snapshot_has_this_period_and_the_next_and_the_sweep_moves_on(alice, counters, published):
    now = timezone.now()
    publishing.sweep(now=now)
    first = snapshot_of(alice, counters)
    ends_at = datetime.fromtimestamp(first.quota.ends_at_ms / 1_000, UTC)
    assert ends_at > now
    assert publishing.sweep(now=ends_at - timedelta(seconds=1)) == publishing.Swept(0, 0)
    with published():
        assert publishing.sweep(now=ends_at).snapshots == 1
    second = snapshot_of(alice, counters)
    assert second.revision == first.revision + 1
    publishing.snapshot_publish(tenant_id=alice.tenant_id, now=ends_at)
    second = snapshot_of(alice, counters)
    assert second.quota.period == first.quota.next_period
    assert second.quota.ends_at_ms > first.quota.ends_at_ms
    assert publishing.sweep(now=ends_at) == publishing.Swept(0, 0)


def test_a_tenant_is_spread_over_shards_only_with_limits_that_can_be_shared(alice, counters, published):
    small = rule_make(alice.tenant_id, name="small", limit=399)
    rule_make(alice.tenant_id, name="per-user", type="user", limit=5)
    with pytest.raises(Invalid, match="at least 400: small"), tenant_scope(alice.tenant_id):
        sharding_set(tenant_id=alice.tenant_id, shards=4, dimension="user")
    with published(), tenant_scope(alice.tenant_id):
        rule_update(tenant_id=alice.tenant_id, rule_id=small.id, spec=SpecFactory(name="small", limit=400))
        sharding_set(tenant_id=alice.tenant_id, shards=4, dimension="user")
    assert snapshot_of(alice, counters).sharding == Sharding("user", 4)
    with pytest.raises(Invalid) as refusal:
        rule_make(alice.tenant_id, limit=399)
    assert "At least 400" in refusal.value.fields["limit"]
    with published(), tenant_scope(alice.tenant_id):
        sharding_set(tenant_id=alice.tenant_id, shards=1, dimension="user")
    assert snapshot_of(alice, counters).sharding is None


def test_rules_of_other_tenants_are_not_in_a_snapshot(alice, bob, counters, published):
    with published():
        rule_make(alice.tenant_id, name="mine")
        rule_make(bob.tenant_id, name="theirs")
    assert [rule.name for rule in snapshot_of(alice, counters).rules] == ["mine"]


def test_a_suspension_is_published_and_lifted(alice, counters, published):
    with published():
        tenant_suspend(tenant_id=alice.tenant_id, at=timezone.now())
    assert snapshot_of(alice, counters).suspended
    with published():
        tenant_suspend(tenant_id=alice.tenant_id, at=None)
    assert not snapshot_of(alice, counters).suspended


def test_a_key_reaches_redis_and_leaves_it_when_revoked(alice, counters, published):
    with published():
        key = key_make(alice.tenant_id, scopes=["check", "read"]).key
    identity = identity_decode(counters.get(keys.keyring_entry(digest_of(key.id))))
    assert (identity.tenant, identity.key_id, identity.live) == (alice.tenant_id, key.id, True)
    assert identity.scopes == ("check", "read")
    with published(), tenant_scope(alice.tenant_id):
        key_revoke(tenant_id=alice.tenant_id, key_id=key.id, now=timezone.now())
    assert counters.get(keys.keyring_entry(digest_of(key.id))) is None


def test_a_sweep_heals_a_redis_that_lost_everything(alice, bob, counters, published):
    with published():
        rule_make(alice.tenant_id, name="mine")
        key = key_make(bob.tenant_id).key
    publishing.sweep(now=timezone.now())
    before = {
        name: counters.get(name)
        for name in counters.keys("{published}:apikey:*") + counters.keys("{published}:snapshot:[0-9]*")
    }
    counters.flushall()
    assert not Publisher(counters).keyring_is_complete()
    swept = publishing.sweep(now=timezone.now())
    assert (swept.snapshots, swept.keys) == (2, 3)
    assert {name: counters.get(name) for name in before} == before
    assert counters.exists(keys.keyring_entry(digest_of(key.id)))
    assert Publisher(counters).keyring_is_complete()
    assert publishing.sweep(now=timezone.now()) == publishing.Swept(0, 0)


def test_a_sweep_compares_with_what_redis_really_holds(alice, counters, published):
    with published():
        rule_make(alice.tenant_id, name="mine")
        gone, revoked = key_make(alice.tenant_id).key, key_make(alice.tenant_id).key
    publishing.sweep(now=timezone.now())
    stolen = counters.get(keys.keyring_entry(digest_of(revoked.id)))
    with published(), tenant_scope(alice.tenant_id):
        key_revoke(tenant_id=alice.tenant_id, key_id=revoked.id, now=timezone.now())
    counters.set(keys.keyring_entry(digest_of(revoked.id)), stolen)
    counters.delete(keys.keyring_entry(digest_of(gone.id)), keys.snapshot(alice.tenant_id))
    assert publishing.sweep(now=timezone.now()) == publishing.Swept(1, 2)
    assert counters.get(keys.keyring_entry(digest_of(revoked.id))) is None
    assert counters.exists(keys.keyring_entry(digest_of(gone.id)))
    assert snapshot_of(alice, counters).rules[0].name == "mine"


def test_a_sweep_finds_a_change_whose_task_was_lost(alice, counters, sent):
    publishing.sweep(now=timezone.now())
    rule_make(alice.tenant_id, name="unheard")
    assert publishing.sweep(now=timezone.now()).snapshots == 1
    assert [rule.name for rule in snapshot_of(alice, counters).rules] == ["unheard"]


def test_a_sweep_takes_back_a_redis_that_is_ahead_and_tenants_that_are_gone(alice, counters):
    publishing.sweep(now=timezone.now())
    ahead = publishing.snapshot_compile(tenant_id=alice.tenant_id, now=timezone.now())
    Publisher(counters).snapshot_publish(msgspec.structs.replace(ahead, revision=1_000))
    Publisher(counters).snapshot_publish(msgspec.structs.replace(ahead, tenant=2**40))
    assert publishing.sweep(now=timezone.now()) == publishing.Swept(2, 0)
    assert snapshot_of(alice, counters).revision == tenant_get(alice.tenant_id).revision
    assert counters.get(keys.snapshot(2**40)) is None


def test_a_sweep_withdraws_keys_that_postgresql_does_not_know(alice, counters):
    issued = key_make(alice.tenant_id)
    publishing.sweep(now=timezone.now())
    digest = digest_of(issued.key.id)
    KeyIndex.objects.filter(digest=digest).delete()
    assert publishing.sweep(now=timezone.now()).keys == 1
    assert not counters.exists(keys.keyring_entry(digest))
    assert publishing.sweep(now=timezone.now()).keys == 0


def test_the_keyring_is_not_complete_before_a_sweep(alice, counters, published):
    with published():
        key_make(alice.tenant_id)
    assert not Publisher(counters).keyring_is_complete()
    publishing.sweep(now=timezone.now())
    assert Publisher(counters).keyring_is_complete()


def test_an_older_compilation_never_replaces_a_newer_one(alice, counters, published):
    old = publishing.snapshot_compile(tenant_id=alice.tenant_id, now=timezone.now())
    with published():
        rule_make(alice.tenant_id, name="new")
    assert Publisher(counters).snapshot_publish(old) == -1
    assert [rule.name for rule in snapshot_of(alice, counters).rules] == ["new"]


def test_sweeps_do_not_overlap(alice):
    from django.core.cache import cache

    with cache.lock("publish-sweep", timeout=5):
        assert publishing.sweep(now=timezone.now()) is None
    assert publishing.sweep(now=timezone.now()) is not None


def test_an_expired_key_is_told_apart_for_a_while_and_then_forgotten(alice, counters):
    now = timezone.now()
    key = key_make(alice.tenant_id, expires_at=now).key
    publishing.sweep(now=now + timedelta(days=1))
    assert counters.exists(keys.keyring_entry(digest_of(key.id)))
    publishing.sweep(now=now + timedelta(days=40))
    assert not counters.exists(keys.keyring_entry(digest_of(key.id)))


def beat(counters, door, *, epoch, seq, age_ms=0):
    heartbeat = Heartbeat(epoch, seq, unix_ms() - age_ms, 1, door)
    counters.hset(keys.DOORS, door, msgspec.msgpack.encode(heartbeat))


def test_a_revision_is_live_where_a_door_has_read_its_entry(alice, counters, published):
    with published():
        rule_make(alice.tenant_id, name="mine")
    epoch = counters.get(keys.SNAPSHOT_EPOCH).decode()
    seq = int(counters.hget(keys.SNAPSHOT_REVISIONS, str(alice.tenant_id)).split(b":")[1])
    beat(counters, "current", epoch=epoch, seq=seq)
    beat(counters, "behind", epoch=epoch, seq=seq - 1)
    beat(counters, "other-epoch", epoch="f00", seq=seq + 9)
    beat(counters, "dead", epoch=epoch, seq=seq, age_ms=6_000)
    doors = live_doors(alice.tenant_id)
    assert (doors.revision, doors.doors_live, doors.doors_total) == (tenant_get(alice.tenant_id).revision, 1, 3)
    assert not doors.everywhere
    for door in ("behind", "other-epoch"):
        beat(counters, door, epoch=epoch, seq=seq)
    assert live_doors(alice.tenant_id).everywhere


def test_a_revision_that_is_not_published_yet_is_live_nowhere(alice, counters, sent):
    publishing.sweep(now=timezone.now())
    beat(counters, "door", epoch=counters.get(keys.SNAPSHOT_EPOCH).decode(), seq=10**9)
    assert live_doors(alice.tenant_id).everywhere
    rule_make(alice.tenant_id)
    assert live_doors(alice.tenant_id).doors_live == 0


def test_live_counts_are_read_by_day_and_month(alice, counters):
    now = datetime(2026, 3, 15, 12, tzinfo=UTC)
    assert not first_check_seen(tenant_id=alice.tenant_id, now=now)
    counters.hset(keys.live_counts(alice.tenant_id, "2026-03-15"), mapping={"checks": 5, "denied": 2})
    counters.hset(keys.live_counts(alice.tenant_id, "2026-03-01"), mapping={"checks": 10, "live_checks": 7})
    counters.hset(keys.live_counts(alice.tenant_id, "2026-02-28"), mapping={"checks": 100})
    assert counts_today(tenant_id=alice.tenant_id, now=now).denied == 2
    month = counts_month(tenant_id=alice.tenant_id, now=now)
    assert (month.checks, month.live_checks) == (15, 7)
    assert first_check_seen(tenant_id=alice.tenant_id, now=now)


def test_every_task_that_is_enqueued_by_name_exists():
    app.loader.import_default_modules()
    root = Path(__file__).resolve().parents[2] / "apps"
    named = {name for path in root.rglob("*.py") for name in re.findall(r"enqueue\(\s*\"([^\"]+)\"", path.read_text())}
    named |= {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert named >= {"limits.snapshot_publish", "limits.key_publish", "limits.publish_sweep", "tenants.cells_ensure"}
    assert named <= set(app.tasks)


def test_a_key_that_is_revoked_while_it_is_published_does_not_come_back(alice, counters, sent, monkeypatch):
    made = key_make(alice.tenant_id).key
    publish = Publisher.key_publish

    def revoke_meanwhile(self, *args, **kwargs):
        monkeypatch.setattr(Publisher, "key_publish", publish)
        with tenant_scope(alice.tenant_id):
            key_revoke(tenant_id=alice.tenant_id, key_id=made.id, now=timezone.now())
        publishing.key_publish(tenant_id=alice.tenant_id, key_id=made.id, now=timezone.now())
        return publish(self, *args, **kwargs)

    monkeypatch.setattr(Publisher, "key_publish", revoke_meanwhile)
    publishing.key_publish(tenant_id=alice.tenant_id, key_id=made.id, now=timezone.now())
    assert counters.keys("{published}:apikey:*") == []
