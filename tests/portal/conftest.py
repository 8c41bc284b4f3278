import pytest
from django.test import Client

from tests.factories import PASSWORD, colleague_make, key_make, rule_make


class Browser(Client):
    """The browser of one person."""

    def into(self, email):
        assert self.login(username=email, password=PASSWORD)
        return self


@pytest.fixture
def anonymous():
    return Browser()


@pytest.fixture
def alices(alice):
    """Alice's browser."""
    return Browser().into(alice.email)


@pytest.fixture
def bobs(bob):
    return Browser().into(bob.email)


@pytest.fixture
def as_role(alice):
    """The browser of a colleague of Alice's with that role."""

    def login(role):
        colleague_make(alice.tenant_id, role, email=f"{role}@alice.example")
        return Browser().into(f"{role}@alice.example")

    return login


@pytest.fixture
def rule(alice, counters):
    return rule_make(alice.tenant_id, name="user-rpm", type="user", limit=100, window_ms=60_000)


@pytest.fixture
def key(alice, counters):
    return key_make(alice.tenant_id).key
