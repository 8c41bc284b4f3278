"""Overrides: what they may be, how many, and that a rule cannot be changed under them."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core.errors import Invalid, NotFound
from apps.core.scope import tenant_scope
from apps.limits import override_services
from apps.limits.models import Override
from apps.limits.override_services import (
    OverridesInvalid,
    TooManyOverrides,
    override_delete,
    override_put,
    overrides_apply,
)
from apps.limits.overrides import OverrideSpec, override_verify
from apps.limits.selectors import override_counts, overrides_of
from apps.limits.services import rule_delete, rule_update, sharding_set
from apps.tenants.selectors import tenant_get
from ratelimiter.engine.rules import MAX_UNITS
from tests.factories import SpecFactory, override_make, rule_make


@pytest.fixture
def rule(alice):
    return rule_make(alice.tenant_id, name="user", type="user", limit=10)


def held(rule, alice):
    with tenant_scope(alice.tenant_id):
        return {one.values: one.limit for one in overrides_of(tenant_id=alice.tenant_id, rule_id=rule.id)}


def verified(values, *, limit=5, burst=0, **fields):
    return override_verify(OverrideSpec(tuple(values), limit, burst), SpecFactory(**fields))


BY_IP = {"type": "ip", "key": ("ip",)}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("64:ff9b::203.0.113.7", "203.0.113.7"),
        ("2001:DB8::1", "2001:db8::/64"),
        ("2001:db8::/80", "2001:db8::/64"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("*", "*"),
    ],
)
def test_addresses_are_stored_as_they_are_counted(written, stored):
    assert verified([written], **BY_IP).values == (stored,)


def test_a_rule_that_counts_single_ipv6_addresses_keeps_them():
    assert verified(["2001:db8::1"], **BY_IP, ipv6_prefix=128).values == ("2001:db8::1",)


@pytest.mark.parametrize(
    ("field", "values", "fields"),
    [
        ("values", ["a", "b"], {"type": "user", "key": ("user",)}),
        ("values", [], {"type": "user", "key": ("user",)}),
        ("values", [], {"type": "global", "key": ()}),
        ("values.0", ["nowhere"], BY_IP),
        ("values.0", ["fe80::1%eth0"], BY_IP),
        ("values.0", ["203.0.113.*"], BY_IP),
        ("values.0", [""], {"type": "user", "key": ("user",)}),
        ("values.0", ["u" * 257], {"type": "user", "key": ("user",)}),
        ("values.0", ["a\nb"], {"type": "user", "key": ("user",)}),
        ("values.1", ["ok", ""], {"type": "custom", "key": ("user", "attributes.plan")}),
    ],
)
def test_values_that_cannot_be_are_named(field, values, fields):
    with pytest.raises(Invalid) as refusal:
        verified(values, **fields)
    assert list(refusal.value.fields) == [field]


@pytest.mark.parametrize(
    ("field", "limit", "burst", "fields"),
    [
        ("limit", -1, 0, {}),
        ("limit", MAX_UNITS + 1, 0, {}),
        ("limit", 1_001, 0, {"algorithm": "sliding_log"}),
        ("burst", 5, 9, {}),
        ("burst", 0, 9, {"algorithm": "token_bucket"}),
        ("burst", None, 9, {"algorithm": "token_bucket"}),
        ("burst", 5, 5_001, {"algorithm": "token_bucket"}),
    ],
)
def test_limits_that_the_rules_counter_cannot_hold_are_refused(field, limit, burst, fields):
    with pytest.raises(Invalid) as refusal:
        verified(["u"], limit=limit, burst=burst, type="user", key=("user",), **fields)
    assert list(refusal.value.fields) == [field]


@pytest.mark.parametrize(
    "values",
    [{"values": []}, {"limit": -1}, {"limit": MAX_UNITS + 1}, {"burst": 1, "limit": None}, {"burst": 5_001}],
    ids=str,
)
def test_the_database_refuses_it_too(alice, rule, values):
    override_make(alice.tenant_id, rule.id)
    with pytest.raises(IntegrityError), tenant_scope(alice.tenant_id):
        Override.objects.update(**values)


def test_the_same_values_replace_each_other(alice, rule):
    first = override_make(alice.tenant_id, rule.id, ["u_1"], 5)
    again = override_make(alice.tenant_id, rule.id, ["u_1"], 0, note="abuse")
    assert (again.id, again.limit, again.note) == (first.id, 0, "abuse")
    assert held(rule, alice) == {("u_1",): 0}


def test_one_can_be_changed_but_not_into_another(alice, rule):
    tenant_id = alice.tenant_id
    first = override_make(tenant_id, rule.id, ["u_1"])
    override_make(tenant_id, rule.id, ["u_2"])
    with tenant_scope(tenant_id):
        override_put(
            tenant_id=tenant_id, rule_id=rule.id, override_id=first.id, spec=OverrideSpec(("u_3",), None)
        )  # fmt: skip
        with pytest.raises(Invalid, match="already"):
            override_put(
                tenant_id=tenant_id, rule_id=rule.id, override_id=first.id, spec=OverrideSpec(("u_2",), 1)
            )  # fmt: skip
    assert held(rule, alice) == {("u_2",): 5, ("u_3",): None}


def test_every_change_raises_the_revision_in_the_same_transaction(alice, rule, sent):
    tenant_id = alice.tenant_id
    revisions = [tenant_get(tenant_id).revision]

    def changed(change):
        with tenant_scope(tenant_id):
            made = change()
        revisions.append(tenant_get(tenant_id).revision)
        return made

    spec = OverrideSpec(("u_1",), 5)
    made = changed(lambda: override_put(tenant_id=tenant_id, rule_id=rule.id, spec=spec))
    changed(lambda: overrides_apply(tenant_id=tenant_id, rule_id=rule.id, specs=[spec], prune=True))
    changed(lambda: overrides_apply(tenant_id=tenant_id, rule_id=rule.id, specs=[], prune=False))
    changed(lambda: override_delete(tenant_id=tenant_id, rule_id=rule.id, override_id=made.id))
    first = revisions[0]
    assert revisions == [first, first + 1, first + 1, first + 1, first + 2]


def test_a_list_is_applied_whole_or_not_at_all(alice, rule):
    tenant_id = alice.tenant_id
    override_make(tenant_id, rule.id, ["stays"], 1)
    override_make(tenant_id, rule.id, ["changes"], 1)
    specs = [OverrideSpec(("changes",), 2), OverrideSpec(("new",), 0), OverrideSpec(("stays",), 1)]
    with tenant_scope(tenant_id):
        done = overrides_apply(tenant_id=tenant_id, rule_id=rule.id, specs=specs, prune=False)
        assert (done.created, done.updated, done.deleted, done.unchanged) == (1, 1, 0, 1)
        wrong = [OverrideSpec(("good",), 1), OverrideSpec((), 1), OverrideSpec(("good",), 2), OverrideSpec(("x",), -1)]
        with pytest.raises(OverridesInvalid) as refusal:
            overrides_apply(tenant_id=tenant_id, rule_id=rule.id, specs=wrong, prune=True)
        assert [(at, field) for at, field, _ in refusal.value.problems] == [(1, "values"), (2, "values"), (3, "limit")]
        done = overrides_apply(tenant_id=tenant_id, rule_id=rule.id, specs=specs[:1], prune=True)
        assert (done.updated, done.deleted, done.unchanged) == (0, 2, 1)
    assert held(rule, alice) == {("changes",): 2}


def test_there_is_a_most(alice, rule, monkeypatch):
    monkeypatch.setattr(override_services, "MAX_OVERRIDES_OF_RULE", 2)
    override_make(alice.tenant_id, rule.id, ["a"])
    override_make(alice.tenant_id, rule.id, ["b"])
    override_make(alice.tenant_id, rule.id, ["b"], 7)
    with pytest.raises(TooManyOverrides, match="A rule can have 2"):
        override_make(alice.tenant_id, rule.id, ["c"])
    monkeypatch.setattr(override_services, "MAX_OVERRIDES", 2)
    other = rule_make(alice.tenant_id, type="user")
    with pytest.raises(TooManyOverrides, match="An organisation can have 2"):
        override_make(alice.tenant_id, other.id)
    assert len(held(rule, alice)) == 2


def test_patterns_have_at_most_64_different_lengths(alice, rule):
    specs = [OverrideSpec((f"{'p' * length}*",), 1) for length in range(1, 66)]
    with tenant_scope(alice.tenant_id):
        overrides_apply(tenant_id=alice.tenant_id, rule_id=rule.id, specs=specs[:64], prune=False)
    with pytest.raises(TooManyOverrides, match="64 different lengths"), tenant_scope(alice.tenant_id):
        overrides_apply(tenant_id=alice.tenant_id, rule_id=rule.id, specs=specs[64:], prune=False)
    assert len(held(rule, alice)) == 64


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("type", {"type": "route"}),
        ("key", {"type": "custom", "key": ("user", "route")}),
        ("type", {"action": "allow", "match": {"user": "u_1"}, "limit": 0, "window_ms": 0, "type": "global"}),
        ("algorithm", {"type": "user", "algorithm": "concurrency"}),
    ],
)
def test_a_rule_is_not_changed_under_its_overrides(alice, rule, field, change):
    override_make(alice.tenant_id, rule.id, ["a"], 5_000)
    override_make(alice.tenant_id, rule.id, ["b"], 0)
    with pytest.raises(Invalid) as refusal, tenant_scope(alice.tenant_id):
        rule_update(tenant_id=alice.tenant_id, rule_id=rule.id, spec=SpecFactory(name="user", **change))
    assert list(refusal.value.fields) == [field]
    assert "2 overrides" in refusal.value.fields[field]
    with tenant_scope(alice.tenant_id):
        rule_update(tenant_id=alice.tenant_id, rule_id=rule.id, spec=SpecFactory(name="user", type="user", limit=3))


def test_the_length_of_counted_networks_stays_while_blocks_refer_to_it(alice):
    rule = rule_make(alice.tenant_id, name="ip", type="ip")
    override_make(alice.tenant_id, rule.id, ["2001:db8::1"])
    with pytest.raises(Invalid) as refusal, tenant_scope(alice.tenant_id):
        rule_update(
            tenant_id=alice.tenant_id, rule_id=rule.id, spec=SpecFactory(name="ip", type="ip", ipv6_prefix=48)
        )  # fmt: skip
    assert list(refusal.value.fields) == ["ipv6_prefix"]


def test_a_shared_limit_of_an_override_is_large_enough_to_be_shared(alice):
    rule = rule_make(alice.tenant_id, name="ip", type="ip", limit=1_000)
    small = override_make(alice.tenant_id, rule.id, ["203.0.113.7"], 10)
    tenant_id = alice.tenant_id
    with pytest.raises(Invalid, match="at least 200: ip"), tenant_scope(tenant_id):
        sharding_set(tenant_id=tenant_id, shards=2, dimension="user")
    with tenant_scope(tenant_id):
        override_delete(tenant_id=tenant_id, rule_id=rule.id, override_id=small.id)
        sharding_set(tenant_id=tenant_id, shards=2, dimension="user")
    override_make(tenant_id, rule.id, ["203.0.113.7"], 0)
    with pytest.raises(Invalid) as refusal:
        override_make(tenant_id, rule.id, ["203.0.113.7"], 10)
    assert "At least 200, or 0" in refusal.value.fields["limit"]


def test_they_go_with_their_rule(alice, rule):
    override_make(alice.tenant_id, rule.id)
    with tenant_scope(alice.tenant_id):
        assert override_counts(alice.tenant_id) == {rule.id: 1}
        rule_delete(tenant_id=alice.tenant_id, rule_id=rule.id)
        assert override_counts(alice.tenant_id) == {}


def test_another_tenants_override_is_not_there(alice, bob):
    rule = rule_make(bob.tenant_id, type="user")
    theirs = override_make(bob.tenant_id, rule.id, expires_at=timezone.now() + timedelta(days=1))
    tenant_id = alice.tenant_id
    spec = OverrideSpec(("u",), 1)
    with tenant_scope(tenant_id):
        for attempt in (
            lambda: override_put(tenant_id=tenant_id, rule_id=rule.id, spec=spec),
            lambda: override_put(tenant_id=tenant_id, rule_id=rule.id, spec=spec, override_id=theirs.id),
            lambda: override_delete(tenant_id=tenant_id, rule_id=rule.id, override_id=theirs.id),
            lambda: overrides_apply(tenant_id=tenant_id, rule_id=rule.id, specs=[spec], prune=True),
        ):
            with pytest.raises(NotFound), transaction.atomic():
                attempt()
