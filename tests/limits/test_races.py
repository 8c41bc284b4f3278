"""Changes of one tenant happen one after the other, whoever makes them at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from apps.core.errors import ApplicationError
from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.limits.services import TooManyRules, rule_create
from apps.tenants.selectors import tenant_get
from tests.factories import MemberFactory, SpecFactory, rule_make

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
