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
    contexts = []

    def begin(**options):
        context = running(tmp_path / str(len(contexts)), **options)
        contexts.append(context)
        valkey, keyring, door = context.__enter__()
        return SimpleNamespace(valkey=valkey, keyring=keyring, door=door, settle=lambda: settle(valkey, keyring))

    yield begin
    for context in contexts:
        context.__exit__(None, None, None)
