import pytest

from apps.tenants.services import user_create
from tests.factories import PASSWORD, key_make, rule_make
from tests.people import Browser


@pytest.fixture
def rule(alice, counters):
    return rule_make(alice.tenant_id, name="user-rpm", type="user", limit=100, window_ms=60_000)


@pytest.fixture
def key(alice, counters):
    return key_make(alice.tenant_id).key


@pytest.fixture
def staff(db):
    user_create(email="staff@example.com", password=PASSWORD, is_staff=True)
    return Browser().into("staff@example.com")
