"""What a rule may be: said beside the field by the service, and refused again by the database."""

import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import Invalid, NotFound
from apps.core.scope import tenant_scope
from apps.limits.models import Rule
from apps.limits.selectors import rule_get, rules_of
from apps.limits.services import (
    TooManyRules,
    rule_create,
    rule_delete,
    rule_enabled_set,
    rule_mode_set,
    rule_update,
)
from apps.limits.specs import RuleSpec, spec_verify, window_parse, window_words
from apps.plans.selectors import PlanForbids
from apps.plans.services import plan_set
from apps.tenants.selectors import tenant_get
from ratelimiter.engine.rules import MAX_UNITS, MAX_WINDOW_MS
from tests.factories import MemberFactory, SpecFactory, rule_make

DAY_MS = 86_400_000
ATTRIBUTE = "attributes.plan"
DAILY = {"algorithm": "fixed_window", "calendar_unit": "day", "window_ms": 0}
MONTHLY = DAILY | {"calendar_unit": "month"}
ESCALATION = {"escalation_breaches": 5, "escalation_within_ms": 60_000, "escalation_block_ms": 600_000}
GATE = {"action": "deny", "match": {"ips": ["203.0.113.0/24"]}, "limit": 0, "window_ms": 0}

BAD = [
    ("name", {"name": ""}),
    ("name", {"name": "Upper"}),
    ("name", {"name": "a" * 65}),
    ("name", {"name": "new\nline"}),
    ("namespace", {"namespace": "two words"}),
    ("type", {"type": "moon"}),
    ("algorithm", {"algorithm": "leaky"}),
    ("mode", {"mode": "off"}),
    ("on_failure", {"on_failure": "panic"}),
    ("limit", {"limit": 0}),
    ("limit", {"limit": MAX_UNITS + 1}),
    ("window_ms", {"window_ms": 999}),
    ("window_ms", {"window_ms": 1_500}),
    ("window_ms", {"window_ms": MAX_WINDOW_MS + 1_000}),
    ("burst", {"burst": 10}),
    ("burst", {"burst": -1, "algorithm": "token_bucket"}),
    ("burst", {"burst": 100_001, "algorithm": "token_bucket"}),
    ("burst", {"burst": 2_000_000_000, "limit": 2_000_000, "window_ms": DAY_MS, "algorithm": "token_bucket"}),
    ("limit", {"limit": 2_000_000_000, "window_ms": DAY_MS, "algorithm": "token_bucket"}),
    ("priority", {"priority": 1_001}),
    ("ipv6_prefix", {"ipv6_prefix": 129}),
    ("key", {"type": "user", "key": ("ip",)}),
    ("key", {"type": "global", "key": ("ip",)}),
    ("key", {"type": "custom"}),
    ("key", {"type": "custom", "key": ("moon",)}),
    ("key", {"type": "custom", "key": ("ip", "ip")}),
    ("key", {"type": "custom", "key": ("ip", "route", "user", ATTRIBUTE, "attributes.a", "attributes.b")}),
    ("match", {"match": ["POST /"]}),
    ("match.moon", {"match": {"moon": "x"}}),
    ("match.route", {"match": {"route": "v1/chat"}}),
    ("match.route", {"match": {"route": "post /v1/chat"}}),
    ("match.ips", {"match": {"ips": ["10.0.0.0/8", "300.1.1.1"]}}),
    ("match.user", {"match": {"user": 42}}),
    ("match.user", {"match": {"user": "nul\x00byte"}}),
    ("match.users", {"match": {"users": ["u"] * 101}}),
    ("match.users", {"match": {"user": "a", "users": ["b"]}}),
    ("match.attributes", {"match": {"attributes": {"plan": {"like": "p"}}}}),
    ("match.attributes", {"match": {"attributes": {"plan": {"in": []}}}}),
    ("match.attributes", {"match": {"attributes": {"plan": {"equals": "a", "prefix": "b"}}}}),
    ("action", {"action": "maybe"}),
    ("limit", {"algorithm": "sliding_log", "limit": 1_001}),
    ("limit", {"algorithm": "concurrency", "limit": 1_001}),
    ("calendar_unit", {"algorithm": "fixed_window", "calendar_unit": "week"}),
    ("calendar_unit", {"algorithm": "fixed_window", "calendar_zone": "Europe/Berlin"}),
    ("algorithm", {"calendar_unit": "day", "window_ms": 0}),
    ("window_ms", {"algorithm": "fixed_window", "calendar_unit": "day"}),
    ("calendar_zone", {**DAILY, "calendar_zone": "Mars/Olympus"}),
    ("calendar_anchor", {**DAILY, "calendar_anchor": 2}),
    ("calendar_anchor", {**MONTHLY, "calendar_anchor": 32}),
    ("escalation_breaches", {**ESCALATION, "escalation_breaches": 0}),
    ("escalation_breaches", {**ESCALATION, "escalation_breaches": 10_001}),
    ("escalation_breaches", {**ESCALATION, "algorithm": "concurrency"}),
    ("escalation_within_ms", {**ESCALATION, "escalation_within_ms": 0}),
    ("escalation_block_ms", {**ESCALATION, "escalation_block_ms": 1_500}),
    ("escalation_block_ms", {**ESCALATION, "escalation_block_ms": 8 * DAY_MS}),
    ("lease", {"lease": -1}),
    ("lease", {"lease": 11}),
    ("lease", {"limit": 99, "lease": 1}),
    ("lease", {"algorithm": "sliding_log", "lease": 1}),
    ("limit", {**GATE, "limit": 5}),
    ("window_ms", {**GATE, "window_ms": 60_000}),
    ("algorithm", {**GATE, "algorithm": "fixed_window"}),
    ("on_failure", {**GATE, "on_failure": "open"}),
    ("type", {**GATE, "type": "ip"}),
    ("mode", {**GATE, "mode": "shadow"}),
    ("match", {**GATE, "match": {}}),
    ("match.users", {**GATE, "match": {"users": [f"u{n}" for n in range(1_001)]}}),
]


@pytest.mark.parametrize(("field", "values"), BAD, ids=[f"{field}-{n}" for n, (field, _) in enumerate(BAD)])
def test_bad_input_is_named_by_its_field(field, values):
    with pytest.raises(Invalid) as refusal:
        spec_verify(SpecFactory(**values))
    assert list(refusal.value.fields) == [field]


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(Invalid) as refusal:
        spec_verify(SpecFactory(name="", limit=0, window_ms=1, match={"ip": "x"}))
    assert set(refusal.value.fields) == {"name", "limit", "window_ms", "match.ip"}


@pytest.mark.parametrize(
    "values",
    [
        {"name": "Upper"},
        {"namespace": ""},
        {"type": "moon"},
        {"algorithm": "leaky"},
        {"mode": "off"},
        {"on_failure": "panic"},
        {"limit": 0},
        {"limit": MAX_UNITS + 1},
        {"window_ms": 999},
        {"window_ms": 1_500},
        {"window_ms": MAX_WINDOW_MS + 1_000},
        {"burst": 10},
        {"burst": -1, "algorithm": "token_bucket"},
        {"burst": 100_001, "algorithm": "token_bucket"},
        {"limit": 2_000_000_000, "window_ms": DAY_MS, "algorithm": "token_bucket"},
        {"priority": 1_001},
        {"ipv6_prefix": 15},
        {"type": "user", "key": ["ip"]},
        {"type": "custom", "key": []},
        {"key": ["ip"]},
        {"action": "maybe"},
        {"action": "deny"},
        {"algorithm": "sliding_log", "limit": 1_001},
        {"calendar_unit": "week"},
        {"calendar_unit": "day"},
        {"calendar_unit": "day", "window_ms": DAY_MS},
        {"calendar_zone": "Europe/Berlin"},
        {"calendar_unit": "day", "window_ms": DAY_MS, "algorithm": "fixed_window", "calendar_anchor": 2},
        {"calendar_unit": "month", "window_ms": 30 * DAY_MS, "algorithm": "fixed_window", "calendar_anchor": 32},
        {"calendar_unit": "day", "window_ms": DAY_MS, "algorithm": "fixed_window", "calendar_zone": "x' OR 1"},
        {"escalation_breaches": 1},
        {**ESCALATION, "escalation_block_ms": 1_500},
        {**ESCALATION, "algorithm": "concurrency"},
        {"lease": 11},
        {"lease": 1, "algorithm": "concurrency"},
    ],
    ids=str,
)
def test_the_database_refuses_it_too(alice, values):
    rule_make(alice.tenant_id, name="good")
    with pytest.raises(IntegrityError), tenant_scope(alice.tenant_id):
        Rule.objects.update(**values)


@pytest.mark.parametrize(
    "values",
    [{"limit": 5}, {"type": "ip", "key": ["ip"]}, {"mode": "shadow"}, {"window_ms": 60_000}, {"match": {}}, ESCALATION],
    ids=str,
)
def test_the_database_refuses_a_gate_that_counts(alice, values):
    rule_make(alice.tenant_id, name="gate", **GATE)
    with pytest.raises(IntegrityError), tenant_scope(alice.tenant_id):
        Rule.objects.update(**values)


def test_a_list_of_a_gate_may_be_long():
    addresses = [f"10.0.{n // 256}.{n % 256}" for n in range(1_000)]
    assert len(spec_verify(SpecFactory(**GATE | {"match": {"ips": addresses}})).match["ips"]) == 1_000


def test_a_calendar_and_a_gate_have_the_window_that_belongs_to_them(alice):
    assert rule_make(alice.tenant_id, **DAILY | {"calendar_zone": "Europe/Berlin"}).window_ms == DAY_MS
    assert rule_make(alice.tenant_id, **MONTHLY | {"calendar_anchor": 15}).window_ms == 30 * DAY_MS
    assert rule_make(alice.tenant_id, **GATE).is_gate


def test_a_gate_cannot_be_switched_to_shadow(alice):
    gate = rule_make(alice.tenant_id, **GATE)
    with pytest.raises(Invalid, match="cannot be in shadow"), tenant_scope(alice.tenant_id):
        rule_mode_set(tenant_id=alice.tenant_id, rule_id=gate.id, mode="shadow")


def test_the_largest_bucket_that_fits_is_accepted_by_both(alice):
    most = 2**53 // DAY_MS
    rule = rule_make(alice.tenant_id, limit=most, window_ms=DAY_MS, algorithm="token_bucket")
    assert rule.limit == most
    with pytest.raises(Invalid):
        spec_verify(SpecFactory(limit=most + 1, window_ms=DAY_MS, algorithm="token_bucket"))


def test_conditions_are_stored_in_one_form():
    verified = spec_verify(
        SpecFactory(
            match={
                "route": "POST /v1/chat",
                "ips": ["10.1.2.3/8", "2001:DB8::/32", "::ffff:192.0.2.0/120", "10.0.0.0/8"],
                "user": ["u_1", "u_2", "u_1"],
                "attributes": {"plan": "pro", "region": ["eu", "us"], "app": {"prefix": "ios-"}},
            }
        )
    )
    assert verified.match == {
        "routes": ["POST /v1/chat"],
        "ips": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.0/24"],
        "users": ["u_1", "u_2"],
        "attributes": {"plan": {"equals": "pro"}, "region": {"in": ["eu", "us"]}, "app": {"prefix": "ios-"}},
    }
    assert spec_verify(SpecFactory(match=verified.match)).match == verified.match


@pytest.mark.parametrize(
    ("words", "window_ms"), [("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", DAY_MS), ("90s", 90_000)]
)
def test_windows_are_written_as_people_do(words, window_ms):
    assert window_parse(words) == window_ms
    assert window_parse(window_words(window_ms)) == window_ms


@pytest.mark.parametrize("words", ["", "10", "s", "1.5h", "-1s", "1w", "10 s", "١٠s"])
def test_other_words_for_windows_are_refused(words):
    with pytest.raises(ValueError, match="10s, 5m, 1h or 1d"):
        window_parse(words)


def test_a_rule_round_trips(alice):
    spec = RuleSpec(
        name="chat",
        namespace="apps",
        type="custom",
        key=("user", ATTRIBUTE),
        match={"routes": ["POST /v1/chat"]},
        limit=5,
        window_ms=10_000,
        burst=20,
        algorithm="token_bucket",
        mode="shadow",
        on_failure="closed",
        priority=7,
        enabled=False,
        ipv6_prefix=48,
        **ESCALATION,
    )
    with tenant_scope(alice.tenant_id):
        made = rule_create(tenant_id=alice.tenant_id, spec=spec)
        read = rule_get(tenant_id=alice.tenant_id, rule_id=made.id)
    assert read == made
    for field in spec.__slots__:
        assert getattr(read, field) == getattr(spec, field)


def test_every_change_raises_the_revision_and_is_published_after_the_commit(
    alice, sent, django_capture_on_commit_callbacks
):
    before = tenant_get(alice.tenant_id).revision

    def changed(change):
        sent.clear()
        with django_capture_on_commit_callbacks(execute=True), tenant_scope(alice.tenant_id):
            result = change()
            assert sent == []
        assert sent == [("limits.snapshot_publish", {"tenant_id": alice.tenant_id})]
        return result

    tenant_id = alice.tenant_id
    rule = changed(lambda: rule_create(tenant_id=tenant_id, spec=SpecFactory(name="one")))
    changed(lambda: rule_update(tenant_id=tenant_id, rule_id=rule.id, spec=SpecFactory(name="one", limit=7)))
    changed(lambda: rule_mode_set(tenant_id=tenant_id, rule_id=rule.id, mode="shadow"))
    changed(lambda: rule_enabled_set(tenant_id=tenant_id, rule_id=rule.id, enabled=False))
    changed(lambda: rule_delete(tenant_id=tenant_id, rule_id=rule.id))
    assert tenant_get(tenant_id).revision == before + 5


def test_a_switch_that_changes_nothing_makes_no_revision(alice):
    rule = rule_make(alice.tenant_id)
    before = tenant_get(alice.tenant_id).revision
    with tenant_scope(alice.tenant_id):
        rule_mode_set(tenant_id=alice.tenant_id, rule_id=rule.id, mode="enforce")
    assert tenant_get(alice.tenant_id).revision == before


def test_a_name_is_taken_once_per_namespace(alice):
    rule = rule_make(alice.tenant_id, name="same")
    rule_make(alice.tenant_id, name="same", namespace="other")
    with pytest.raises(Invalid) as refusal:
        rule_make(alice.tenant_id, name="same")
    assert "same" in refusal.value.fields["name"]
    with tenant_scope(alice.tenant_id):
        rule_update(tenant_id=alice.tenant_id, rule_id=rule.id, spec=SpecFactory(name="same", limit=3))
        with pytest.raises(Invalid):
            rule_update(tenant_id=alice.tenant_id, rule_id=rule.id, spec=SpecFactory(name="same", namespace="other"))
    with pytest.raises(IntegrityError), tenant_scope(alice.tenant_id):
        Rule.objects.update(namespace="other")


def test_there_is_a_most(alice, settings):
    settings.MAX_RULES = 2
    rule_make(alice.tenant_id)
    rule_make(alice.tenant_id)
    with pytest.raises(TooManyRules, match="2 rules"):
        rule_make(alice.tenant_id)


def test_the_plan_is_asked(db):
    free = MemberFactory(plan="free")
    rule_make(free.tenant_id, type="global")
    with pytest.raises(PlanForbids, match="The Startup plan has them"):
        rule_make(free.tenant_id, type="user")


def test_after_a_smaller_plan_a_rule_may_be_switched_off_and_deleted_but_not_on(db):
    member = MemberFactory(plan="professional")
    rule = rule_make(member.tenant_id, type="user")
    plan_set(tenant_id=member.tenant_id, code="free")
    with tenant_scope(member.tenant_id):
        rule_enabled_set(tenant_id=member.tenant_id, rule_id=rule.id, enabled=False)
        with pytest.raises(PlanForbids):
            rule_enabled_set(tenant_id=member.tenant_id, rule_id=rule.id, enabled=True)
        rule_delete(tenant_id=member.tenant_id, rule_id=rule.id)
        assert rules_of(member.tenant_id) == []


def test_another_tenants_rule_is_not_there(alice, bob):
    theirs = rule_make(bob.tenant_id, name="theirs").id
    tenant_id = alice.tenant_id
    with tenant_scope(tenant_id):
        for attempt in (
            lambda: rule_get(tenant_id=tenant_id, rule_id=theirs),
            lambda: rule_update(tenant_id=tenant_id, rule_id=theirs, spec=SpecFactory()),
            lambda: rule_mode_set(tenant_id=tenant_id, rule_id=theirs, mode="shadow"),
            lambda: rule_enabled_set(tenant_id=tenant_id, rule_id=theirs, enabled=False),
            lambda: rule_delete(tenant_id=tenant_id, rule_id=theirs),
        ):
            with pytest.raises(NotFound), transaction.atomic():
                attempt()
    with tenant_scope(bob.tenant_id):
        assert [rule.name for rule in rules_of(bob.tenant_id)] == ["theirs"]
