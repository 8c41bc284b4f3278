"""Plans are data; what they allow is enforced with a sentence that names the plan to take."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from apps.core.errors import NotFound
from apps.plans.models import Plan
from apps.plans.selectors import PlanForbids, entitlements_of, plan_of, plans_all, rule_type_require
from apps.plans.services import plan_set
from tests.factories import MemberFactory


def test_the_price_list_is_what_was_agreed(db):
    listed = {
        plan.code: (plan.price_cents, plan.included_checks, plan.overage_cents, plan.retention_days, plan.webhooks)
        for plan in plans_all()
    }
    assert listed == {
        "free": (0, 100_000, None, 7, False),
        "startup": (4_900, 1_000_000, 500, 30, False),
        "professional": (19_900, 10_000_000, 300, 90, True),
        "enterprise": (199_900, 100_000_000, None, 365, True),
    }
    assert [plan.code for plan in plans_all() if plan.is_capped] == ["free"]


@pytest.mark.parametrize(
    ("plan", "allowed"),
    [
        ("free", ["global"]),
        ("startup", ["global", "ip", "route", "user"]),
        ("professional", ["global", "ip", "route", "user", "custom"]),
        ("enterprise", ["global", "ip", "route", "user", "custom"]),
    ],
)
def test_a_plan_allows_its_rule_types_and_no_others(db, plan, allowed):
    entitlements = entitlements_of(MemberFactory(plan=plan).tenant_id)
    for rule_type in ("global", "ip", "route", "user", "custom"):
        if rule_type in allowed:
            rule_type_require(entitlements, rule_type)
        else:
            with pytest.raises(PlanForbids):
                rule_type_require(entitlements, rule_type)


@pytest.mark.parametrize(
    ("held", "asked", "named"),
    [("free", "ip", "Startup"), ("free", "custom", "Professional"), ("startup", "custom", "Professional")],
)
def test_a_refusal_names_the_cheapest_plan_that_allows_it(db, held, asked, named):
    with pytest.raises(PlanForbids) as refusal:
        rule_type_require(entitlements_of(MemberFactory(plan=held).tenant_id), asked)
    assert f"The {named} plan has them" in refusal.value.detail
    assert named in refusal.value.fields["type"]
    assert (refusal.value.status, refusal.value.code) == (403, "plan_forbids")


def test_a_tenant_without_a_choice_is_on_free(db):
    from apps.tenants.services import tenant_create

    assert plan_of(tenant_create(name="New", owner_id=None).id).code == "free"


def test_an_unknown_plan_is_refused_with_the_names_of_those_there_are(alice):
    with pytest.raises(NotFound, match="free, startup, professional, enterprise"):
        plan_set(tenant_id=alice.tenant_id, code="platinum")


def test_the_database_refuses_a_plan_with_unknown_rule_types(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        Plan.objects.filter(code="free").update(rule_types=["global", "moon"])


def test_plan_set_prints_json(alice):
    out = StringIO()
    call_command("plan_set", "--tenant", alice.slug, "--plan", "enterprise", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"tenant": "alice", "plan": "enterprise"}
    assert plan_of(alice.tenant_id).name == "Enterprise"


def test_plan_set_says_what_is_wrong(alice):
    with pytest.raises(CommandError, match="there is no tenant “nobody”"):
        call_command("plan_set", "--tenant", "nobody", "--plan", "free")
    with pytest.raises(CommandError, match="there is no plan “gold”"):
        call_command("plan_set", "--tenant", alice.slug, "--plan", "gold")
