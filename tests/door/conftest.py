import itertools
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from tests.door.rig import running, settle


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    """One door that tests share as long as they leave Redis and the process alone."""
    with running(tmp_path_factory.mktemp("house")) as (valkey, keyring, door):
        yield SimpleNamespace(valkey=valkey, keyring=keyring, door=door)


@pytest.fixture(autouse=True)
def _mortal_counters(request):
    """After every test of the shared door; a door of a test's own is looked at when it stops."""
    yield
    shared = request.getfixturevalue("house") if "house" in request.fixturenames else None
    if isinstance(shared, SimpleNamespace):  # some modules have houses of their own
        shared.valkey.mortality_verify()


@pytest.fixture
def door(house):
    return house.door


@pytest.fixture
def keyring(house):
    return house.keyring


@pytest.fixture
def start(tmp_path):
    """Starts a door of the test's own, to be broken."""
    numbers = itertools.count()

    def begin(**options):
        valkey, keyring, door = contexts.enter_context(running(tmp_path / str(next(numbers)), **options))
        return SimpleNamespace(valkey=valkey, keyring=keyring, door=door, settle=lambda: settle(valkey, keyring))

    with ExitStack() as contexts:
        yield begin
