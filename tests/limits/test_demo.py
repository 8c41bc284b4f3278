"""The demo is made once; what it printed goes on working."""

import json

import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.apikeys.selectors import secret_tenant
from apps.apikeys.services import key_revoke
from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.limits.services import rule_delete
from apps.plans.selectors import plan_of
from apps.tenants.models import User
from apps.tenants.selectors import tenant_by_slug
from ratelimiter.engine import keys
from ratelimiter.snapshot.publish import Publisher

pytestmark = pytest.mark.usefixtures("db", "counters")


@pytest.fixture
def demo(tmp_path):
    def demo():
        call_command("demo", "--path", str(tmp_path / "demo.json"), verbosity=0)
        return json.loads((tmp_path / "demo.json").read_text())

    return demo


def test_it_is_complete_and_published(demo, client, counters):
    made = demo()
    assert {"portal_url", "check_url", "drf_check_url", "email", "password", "api_key", "tenant"} <= set(made)
    tenant = tenant_by_slug(made["tenant"])
    assert plan_of(tenant.id).code == "professional"
    assert secret_tenant(made["api_key"], now=timezone.now()) == tenant.id
    with tenant_scope(tenant.id):
        rules = rules_of(tenant.id)
    assert {rule.type for rule in rules} >= {"global", "ip", "user", "custom"}
    assert counters.exists(keys.snapshot(tenant.id))
    assert Publisher(counters).keyring_is_complete()
    assert client.login(username=made["email"], password=made["password"])
    staff = User.objects.get(email=made["staff_email"])
    assert staff.is_staff
    assert staff.check_password(made["staff_password"])


def test_again_keeps_what_was_printed_and_what_was_changed(demo):
    made = demo()
    tenant = tenant_by_slug(made["tenant"])
    with tenant_scope(tenant.id):
        rule_delete(tenant_id=tenant.id, rule_id=rules_of(tenant.id)[0].id)
        left = rules_of(tenant.id)
    assert demo() == made
    with tenant_scope(tenant.id):
        assert rules_of(tenant.id) == left


def test_what_no_longer_works_is_made_anew(demo, tmp_path):
    made = demo()
    tenant = tenant_by_slug(made["tenant"])
    entry_key = made["api_key"]
    with tenant_scope(tenant.id):
        from apps.apikeys.selectors import keys_of

        key_revoke(tenant_id=tenant.id, key_id=keys_of(tenant.id)[0].id, now=timezone.now())
    again = demo()
    assert again["api_key"] != entry_key
    assert again["password"] == made["password"]
    (tmp_path / "demo.json").write_text("not json")
    third = demo()
    assert User.objects.get(email=third["email"]).check_password(third["password"])
    assert secret_tenant(third["api_key"], now=timezone.now()) == tenant.id
