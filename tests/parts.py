"""A pytest plugin (see addopts) that starts the embedded parts before Django reads its settings.

One PostgreSQL and two Valkeys serve the whole run, in a folder that is gone afterwards; parts that the environment
names already (DATABASE_URL, COUNTERS_URL, BUS_URL) are used instead. Each worker of xdist has its own: tests empty
theirs.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from redis import Redis

# Before `config` is imported: its Celery app would name the settings of `make run`, and pytest-django would follow.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")

from config.embedded import Parts

_OURS = "TEST_PARTS_STARTED"
_STARTED = pytest.StashKey[tuple[Parts, Path]]()
TEST_SECRETS = {
    "SECRET_KEY": "only-for-tests-" + "0" * 40,
    "KEY_PEPPERS": "1:" + "1f" * 32,
    "TOKEN_KEYS": "1:" + "2e" * 32 + ",2:" + "3d" * 32,
}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    for name in filter(None, os.environ.pop(_OURS, "").split(",")):
        del os.environ[name]  # what another process started, whose worker this is
    folder = Path(tempfile.mkdtemp(prefix="ratelimiter-tests-"))
    folder.chmod(0o755)
    parts = Parts.start(folder, durable=False, environ=os.environ)
    early_config.stash[_STARTED] = (parts, folder)
    own = {name: value for name, value in parts.environment().items() if os.environ.get(name) != value}
    os.environ.update(own)
    os.environ[_OURS] = ",".join(own)
    os.environ.update(TEST_SECRETS)
    _keep_every_write()


def _keep_every_write() -> None:
    """On disk until the end, so that the whole run can be searched; see tests.leaks.left."""
    kept = {
        "BUS_URL": {"auto-aof-rewrite-percentage": 0},
        "COUNTERS_URL": {"auto-aof-rewrite-percentage": 0, "appendfsync": "no", "appendonly": "yes"},
    }
    for variable in filter(is_ours, kept):
        with Redis.from_url(os.environ[variable]) as client:
            for name, value in kept[variable].items():
                client.config_set(name, value)


def is_ours(variable: str) -> bool:
    """Whether what this variable names was started here, and goes with the run."""
    return variable in os.environ[_OURS].split(",")


def folder_of(config: pytest.Config) -> Path:
    return config.stash[_STARTED][1]


def pytest_unconfigure(config: pytest.Config) -> None:
    started = config.stash.get(_STARTED, None)
    if started:
        parts, folder = started
        parts.stop()
        shutil.rmtree(folder)
