from types import SimpleNamespace

import pytest

from tests.door.rig import DoorProcess, Keyring, settle
from tests.topologies.parts import Clustered, Guarded


@pytest.fixture(scope="session")
def _clustered(tmp_path_factory):
    clustered = Clustered(tmp_path_factory.mktemp("cluster"))
    yield clustered
    clustered.stop()


@pytest.fixture(scope="session")
def _guarded(tmp_path_factory):
    guarded = Guarded(tmp_path_factory.mktemp("guarded"))
    yield guarded
    guarded.stop()


@pytest.fixture
def cluster(_clustered):
    """Whole and in good health; a test may break it."""
    _clustered.heal()
    return _clustered


@pytest.fixture
def guarded(_guarded):
    _guarded.heal()
    return _guarded


@pytest.fixture(params=["cluster", "guarded"])
def either(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def served(tmp_path):
    """Puts a door in front of a store: `door`, `keyring` and `settle()`."""
    doors = []

    def begin(store, **options):
        store.flush()
        keyring = Keyring(store)
        door = DoorProcess(store, tmp_path / f"spool-{len(doors)}", **options)
        doors.append(door)
        return SimpleNamespace(door=door, keyring=keyring, settle=lambda: settle(store, keyring))

    yield begin
    for door in doors:
        door.stop()
