import pytest

from tests.api.calling import Caller
from tests.factories import key_make


@pytest.fixture
def admin(alice, counters):
    """Calls with a key of Alice's that may everything that a program may."""
    return Caller(key_make(alice.tenant_id, scopes=["admin"]).secret)


@pytest.fixture
def reader(alice, counters):
    return Caller(key_make(alice.tenant_id, scopes=["read"]).secret)
