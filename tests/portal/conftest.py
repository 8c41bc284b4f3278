import pytest

from tests.factories import key_make, rule_make


@pytest.fixture
def rule(alice, counters):
    return rule_make(alice.tenant_id, name="user-rpm", type="user", limit=100, window_ms=60_000)


@pytest.fixture
def key(alice, counters):
    return key_make(alice.tenant_id).key
