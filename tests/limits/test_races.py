"""Changes of one tenant happen one after the other, whoever makes them at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.core.errors import ApplicationError
from apps.core.scope import tenant_scope
from apps.limits import override_services
from apps.limits.override_services import TooManyOverrides
from apps.limits.selectors import override_counts, rules_of
from apps.limits.services import TooManyRules, rule_create, rule_update
from apps.plans.models import Renewal
from apps.plans.selectors import quota_of
from apps.plans.services import periods_renew, plan_set
from apps.tenants.selectors import tenant_get
from tests.factories import MemberFactory, SpecFactory, override_make, rule_make

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8


def at_once(attempts):
    """Runs every attempt in a thread with a connection of its own; returns the error or None of each."""

    def run(attempt):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")  # a test that waits for ever says nothing
            attempt()
        except ApplicationError as error:
            return error
        finally:
            connection.close()
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, attempts))


@pytest.fixture
def member(sent):
    return MemberFactory(plan="professional")


def rules(member):
    with tenant_scope(member.tenant_id):
        return rules_of(member.tenant_id)


def test_the_most_rules_holds(member, settings):
    settings.MAX_RULES = 10
    before = tenant_get(member.tenant_id).revision
    outcomes = at_once([lambda: rule_make(member.tenant_id)] * 24)
    assert outcomes.count(None) == len(rules(member)) == 10
    assert all(isinstance(error, TooManyRules) for error in outcomes if error)
    assert tenant_get(member.tenant_id).revision == before + 10


def test_a_name_is_taken_once(member):
    outcomes = at_once([lambda: rule_make(member.tenant_id, name="same")] * THREADS)
    assert outcomes.count(None) == len(rules(member)) == 1
    assert {tuple(error.fields) for error in outcomes if error} == {("name",)}


def test_tenants_do_not_wait_for_each_other(member):
    other = MemberFactory(plan="professional")
    with tenant_scope(member.tenant_id):
        rule_create(tenant_id=member.tenant_id, spec=SpecFactory())  # holds its tenant until the commit
        assert at_once([lambda: rule_make(other.tenant_id)]) == [None]


def test_the_most_overrides_holds(member, monkeypatch):
    monkeypatch.setattr(override_services, "MAX_OVERRIDES_OF_RULE", 5)
    rule = rule_make(member.tenant_id, type="user")
    attempts = [lambda user=f"u_{n}": override_make(member.tenant_id, rule.id, [user]) for n in range(2 * THREADS)]
    outcomes = at_once(attempts)
    with tenant_scope(member.tenant_id):
        assert override_counts(member.tenant_id) == {rule.id: 5}
    assert outcomes.count(None) == 5
    assert all(isinstance(error, TooManyOverrides) for error in outcomes if error)


def test_a_rules_key_and_its_overrides_never_part(member):
    """Of a change of the key and an override for the old one, whichever comes first refuses the other."""
    rule = rule_make(member.tenant_id, name="r", type="user")

    def change():
        with tenant_scope(member.tenant_id):
            rule_update(tenant_id=member.tenant_id, rule_id=rule.id, spec=SpecFactory(name="r", type="global"))

    outcomes = at_once([change, lambda: override_make(member.tenant_id, rule.id)] * (THREADS // 2))
    (held,) = rules(member)
    with tenant_scope(member.tenant_id):
        has_overrides = bool(override_counts(member.tenant_id))
    assert has_overrides is (held.type == "user")
    assert any(outcome is not None for outcome in outcomes)


def test_a_plan_is_changed_while_its_period_ends(member):
    """Whoever is first, the tenant ends up with the period that its plan says, and nobody waits for ever."""
    due_at = timezone.now() + timedelta(days=40)
    periods_renew(now=timezone.now())
    codes = ["startup", "professional"] * (THREADS // 2)
    attempts = [lambda code=code: plan_set(tenant_id=member.tenant_id, code=code) for code in codes]
    assert set(at_once([*attempts, lambda: periods_renew(now=due_at)])) == {None}
    assert Renewal.objects.get().due_at >= quota_of(member.tenant_id, timezone.now()).period.ends_at
