"""Staff's admin: nothing of a cell's rows without a picked tenant, and everything through the services."""

import pytest
from django.urls import reverse

from apps.core.scope import tenant_scope
from apps.limits.models import Sharding
from apps.limits.selectors import overrides_of, rules_of, sharding_of
from apps.limits.services import rule_delete
from apps.limits.shares import ShardingInfo
from apps.tenants.audit.reading import Wanted, entries_of
from apps.tenants.models import Membership, Tenant
from tests.factories import key_make, override_make, rule_make

RULE = {
    "name": "by-staff", "namespace": "default", "type": "ip", "match": "{}", "key": "", "algorithm": "sliding_window",
    "limit": "10", "window_ms": "60000", "burst": "0", "mode": "enforce", "on_failure": "local", "priority": "0",
    "enabled": "on", "ipv6_prefix": "64", "action": "limit", "calendar_unit": "", "calendar_zone": "UTC",
    "calendar_anchor": "1", "escalation_breaches": "0", "escalation_within_ms": "0", "escalation_block_ms": "0",
    "lease": "0",
}  # fmt: skip


@pytest.fixture
def inside(staff, alice):
    """Staff who have opened Alice's tenant."""
    answer = _act(staff, "tenants_tenant", "open_scope", alice.tenant_id)
    assert answer["Location"] == reverse("admin:limits_rule_changelist")
    return staff


def _act(client, model, action, *ids):
    return client.post(reverse(f"admin:{model}_changelist"), {"action": action, "_selected_action": ids})


@pytest.mark.parametrize(
    "model",
    ["tenants_tenant", "tenants_user", "tenants_membership", "tenants_cell", "plans_plan", "plans_tenantplan"],
)
def test_a_list_of_the_shared_schema_opens(model, staff, alice):
    assert staff.get(reverse(f"admin:{model}_changelist")).status_code == 200


@pytest.mark.parametrize(
    "model", ["limits_rule", "limits_override", "limits_sharding", "apikeys_apikey", "tenants_audit_auditentry"]
)
def test_rows_of_a_cell_ask_for_a_tenant_first(model, staff, alice):
    answer = staff.get(reverse(f"admin:{model}_changelist"))
    assert answer["Location"] == reverse("admin:tenants_tenant_changelist")


@pytest.mark.parametrize("model", ["limits_rule", "apikeys_apikey", "tenants_tenant"])
def test_members_are_no_staff(model, alices):
    assert "/staff/login/" in alices.get(reverse(f"admin:{model}_changelist"))["Location"]


def test_tenants_are_found_by_name_slug_and_member(staff, alice, bob):
    for words in ("Alic", "alice", "alice@example.com"):
        page = staff.get(reverse("admin:tenants_tenant_changelist"), {"q": words}).content.decode()
        assert alice.slug in page
        assert ">bob<" not in page


def test_only_the_picked_tenants_rules_are_there(inside, alice, bob):
    rule_make(alice.tenant_id, name="hers")
    other = rule_make(bob.tenant_id, name="his")
    page = inside.get(reverse("admin:limits_rule_changelist")).content.decode()
    assert "hers" in page
    assert ">his<" not in page
    assert f"tenant {alice.slug}" in page
    assert inside.get(reverse("admin:limits_rule_change", args=[other.id])).status_code == 302


def test_a_rule_is_made_changed_and_deleted_through_the_services(inside, alice, counters):
    revision = Tenant.objects.get(id=alice.tenant_id).revision
    assert inside.post(reverse("admin:limits_rule_add"), RULE).status_code == 302
    with tenant_scope(alice.tenant_id):
        (rule,) = rules_of(alice.tenant_id)
    assert (rule.name, rule.key) == ("by-staff", ("ip",))
    inside.post(reverse("admin:limits_rule_change", args=[rule.id]), RULE | {"limit": "20", "key": "ip"})
    with tenant_scope(alice.tenant_id):
        assert rules_of(alice.tenant_id)[0].limit == 20
    inside.post(reverse("admin:limits_rule_delete", args=[rule.id]), {"post": "yes"})
    with tenant_scope(alice.tenant_id):
        assert rules_of(alice.tenant_id) == []
    assert Tenant.objects.get(id=alice.tenant_id).revision == revision + 3


OVERRIDE = {
    "values": "203.0.113.0/24", "limit": "0", "burst": "0", "expires_at_0": "", "expires_at_1": "", "note": "abuse",
}  # fmt: skip


def overrides(alice, rule):
    with tenant_scope(alice.tenant_id):
        return overrides_of(tenant_id=alice.tenant_id, rule_id=rule.id)


def test_an_override_is_made_changed_and_deleted_through_the_services(inside, alice, counters):
    rule = rule_make(alice.tenant_id, name="by-ip", type="ip")
    revision = Tenant.objects.get(id=alice.tenant_id).revision
    url = reverse("admin:limits_override_add")
    assert "default/by-ip (ip)" in inside.get(url).content.decode()
    r = inside.post(url, OVERRIDE | {"rule_id": rule.id})
    print(r.status_code, r.context["adminform"].form.errors if r.status_code == 200 else "")
    assert r.status_code == 302
    (held,) = overrides(alice, rule)
    assert (held.values, held.limit, held.note) == (("203.0.113.0/24",), 0, "abuse")
    change = reverse("admin:limits_override_change", args=[held.id])
    assert inside.post(change, OVERRIDE | {"rule_id": rule.id, "limit": ""}).status_code == 302
    assert overrides(alice, rule)[0].limit is None
    assert "by-ip" in inside.get(reverse("admin:limits_override_changelist")).content.decode()
    inside.post(reverse("admin:limits_override_delete", args=[held.id]), {"post": "yes"})
    assert overrides(alice, rule) == []
    assert Tenant.objects.get(id=alice.tenant_id).revision == revision + 3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"values": "nowhere"}, "no IP address"),
        ({"values": "203.0.113.7"}, "has an override for these values"),
        ({"limit": "-1"}, "between 0 and"),
        ({"burst": "5", "limit": "5"}, "Only the token bucket"),
    ],
)
def test_a_wrong_override_is_refused_on_the_page(wrong, words, inside, alice, counters):
    rule = rule_make(alice.tenant_id, name="by-ip", type="ip")
    override_make(alice.tenant_id, rule.id, ["203.0.113.7"])
    answer = inside.post(reverse("admin:limits_override_add"), OVERRIDE | {"rule_id": rule.id} | wrong)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert len(overrides(alice, rule)) == 1


def test_staff_spread_a_tenant_over_shards_unless_a_limit_is_too_small(inside, alice, counters):
    rule = rule_make(alice.tenant_id, name="small", limit=399)
    url = reverse("admin:limits_sharding_add")
    answer = inside.post(url, {"shards": "4", "dimension": "user"}, follow=True)
    assert "at least 400: small" in answer.content.decode()
    with tenant_scope(alice.tenant_id):
        assert sharding_of(alice.tenant_id) is None
        rule_delete(tenant_id=alice.tenant_id, rule_id=rule.id)
    assert "Changing it starts new counters" in inside.get(url).content.decode()
    assert inside.post(url, {"shards": "4", "dimension": "user"}).status_code == 302
    with tenant_scope(alice.tenant_id):
        assert sharding_of(alice.tenant_id) == ShardingInfo(4, "user")
        row = Sharding.objects.get()
    inside.post(reverse("admin:limits_sharding_delete", args=[row.id]), {"post": "yes"})
    with tenant_scope(alice.tenant_id):
        assert sharding_of(alice.tenant_id) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "By Staff"}, "a-z"),
        ({"name": "taken"}, "has a rule of that name"),
        ({"limit": "0"}, "between 1 and"),
        ({"window_ms": "1500"}, "whole seconds"),
        ({"match": '{"routes": ["chat"]}'}, "is not a route"),
    ],
)
def test_a_wrong_rule_is_refused_on_the_page(wrong, words, inside, alice, counters):
    rule_make(alice.tenant_id, name="taken")
    answer = inside.post(reverse("admin:limits_rule_add"), RULE | wrong)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    with tenant_scope(alice.tenant_id):
        assert len(rules_of(alice.tenant_id)) == 1


def test_keys_show_no_secret_and_can_be_revoked(inside, alice, counters):
    issued = key_make(alice.tenant_id)
    page = inside.get(reverse("admin:apikeys_apikey_change", args=[issued.key.id])).content.decode()
    assert issued.key.last_four in page
    assert issued.secret not in page
    assert "digest" not in page.lower()
    _act(inside, "apikeys_apikey", "revoke", issued.key.id)
    from apps.apikeys.selectors import key_get

    with tenant_scope(alice.tenant_id):
        assert key_get(tenant_id=alice.tenant_id, key_id=issued.key.id).revoked_at is not None


def test_a_suspension_is_published_and_lifted(staff, alice, counters):
    _act(staff, "tenants_tenant", "suspend", alice.tenant_id)
    assert Tenant.objects.get(id=alice.tenant_id).suspended_at is not None
    _act(staff, "tenants_tenant", "resume", alice.tenant_id)
    assert Tenant.objects.get(id=alice.tenant_id).suspended_at is None


def test_the_last_owner_stays(staff, alice):
    membership = Membership.objects.get(tenant_id=alice.tenant_id)
    answer = staff.post(
        reverse("admin:tenants_membership_change", args=[membership.id]), {"role": "viewer"}, follow=True
    )
    assert "keeps at least one owner" in answer.content.decode()
    assert Membership.objects.get(id=membership.id).role == "owner"


def test_a_tenants_plan_is_set(staff, alice):
    answer = staff.post(reverse("admin:plans_tenantplan_change", args=[alice.tenant_id]), {"plan": "enterprise"})
    assert answer.status_code == 302
    from apps.plans.selectors import plan_of

    assert plan_of(alice.tenant_id).code == "enterprise"


def test_what_staff_do_is_in_the_tenants_audit_log_as_theirs(staff, inside, alice, counters):
    _act(staff, "tenants_tenant", "suspend", alice.tenant_id)
    assert inside.post(reverse("admin:limits_rule_add"), RULE).status_code == 302
    with tenant_scope(alice.tenant_id):
        made, suspended = entries_of(tenant_id=alice.tenant_id, wanted=Wanted(actor="kind:staff"), limit=10)
    assert (made.action, made.actor_name, made.via) == ("rule.created", "staff@example.com", "admin")
    assert (suspended.action, suspended.via) == ("tenant.suspended", "admin")
    page = inside.get(reverse("admin:tenants_audit_auditentry_changelist")).content.decode()
    assert "tenant.suspended" in page
    assert inside.get(reverse("admin:tenants_audit_auditentry_change", args=[made.id])).status_code == 200
    assert (
        inside.post(reverse("admin:tenants_audit_auditentry_delete", args=[made.id]), {"post": "yes"}).status_code
        == 403
    )
