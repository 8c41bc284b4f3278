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
