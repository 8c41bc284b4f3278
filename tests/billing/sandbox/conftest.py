import pytest

from tests.billing.sandbox.rig import Sandbox, Shop


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    """One process for all tests that leave it alive; customers and clocks keep them apart."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def shop(sandbox):
    return Shop(sandbox)
