"""Fixtures for everything that has Django in it; the parts are started by tests.parts before settings are read."""

import os
from pathlib import Path

import pytest
from django.test import TransactionTestCase

from tests import database, parts

SLOW_LAST = (
    "events",
    "engine",
    "plans",
    "notifications",
    "apikeys",
    "limits",
    "analytics",
    "billing",
    "tenancy",
    "portal",
    "api",
    "fuzz",
    "clients",
    "leaks",
    "proofs",
    "door",
    "topologies",
    "chaos",
    "browser",
)


def pytest_collection_modifyitems(items):
    """Fast ones first; the browser last, also because it leaves an event loop running in this thread."""

    def rank(item):
        area = item.path.relative_to(Path(__file__).parent).parts[0]
        return SLOW_LAST.index(area) if area in SLOW_LAST else -1

    items.sort(key=rank)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_blocker):
    with django_db_blocker.unblock():
        database.database_make()
    yield
    if not parts.is_ours("DATABASE_OWNER_URL"):
        with django_db_blocker.unblock():
            database.database_drop()


@pytest.fixture(scope="session", autouse=True)
def _no_secret_is_left(request, tmp_path_factory):
    """Of the whole run; of each worker's, where there are several."""
    yield
    from tests.leaks import left

    assert left.secrets_in((parts.folder_of(request.config), tmp_path_factory.getbasetemp())) == set()


@pytest.fixture(scope="session", autouse=True)
def _emptied_by_the_owner():
    original = TransactionTestCase._fixture_teardown
    TransactionTestCase._fixture_teardown = database.database_empty
    yield
    TransactionTestCase._fixture_teardown = original


@pytest.fixture
def counters():
    """The counters' Redis, empty, as the control plane talks to it."""
    from apps.core.counters import counters

    redis = counters()
    redis.flushall()
    return redis


@pytest.fixture
def judge(settings, tmp_path, counters):
    """The check API's judge as a fresh process has it, with its own spool."""
    from apps.limits import judge as judging

    settings.SPOOL_DIR = str(tmp_path / "spool")
    judging.judge.cache_clear()
    yield judging.judge
    judging.judge()._spool.close()
    judging.judge.cache_clear()


@pytest.fixture(scope="session")
def counters_url():
    return os.environ["COUNTERS_URL"]


@pytest.fixture(scope="session")
def _kafka(tmp_path_factory):
    from tests.kafka import Kafka, KafkaMissing

    try:
        kafka = Kafka(tmp_path_factory.mktemp("kafka"))
    except KafkaMissing as reason:
        pytest.skip(f"Apache Kafka: {reason}")
    yield kafka
    kafka.stop()


@pytest.fixture
def kafka(_kafka):
    """A real Apache Kafka with our topics, all empty; a test may break it."""
    from ratelimiter.events.buses import topics_create

    _kafka.heal()
    for topic in topics_create(_kafka.url):
        _kafka.leads(topic)
    return _kafka


@pytest.fixture
def sent(monkeypatch):
    """What was handed to Celery, as (task name, arguments), instead of sending it."""
    from apps.core import enqueue

    tasks = []
    monkeypatch.setattr(enqueue, "_send", lambda task, arguments: tasks.append((task, dict(arguments))))
    return tasks


@pytest.fixture
def tasks_run_at_once(monkeypatch):
    """Runs what is handed to Celery in place, after the commit, as a worker would."""
    from apps.core import enqueue
    from config.celery import app

    app.loader.import_default_modules()
    monkeypatch.setattr(enqueue, "_send", lambda task, arguments: app.tasks[task](**arguments))


@pytest.fixture
def alice(db):
    """Owner of a tenant on Professional; see tests.factories."""
    from tests.factories import MemberFactory

    return MemberFactory(email="alice@example.com", tenant_name="Alice", plan="professional")


@pytest.fixture
def bob(db):
    """A stranger to alice: owner of another tenant."""
    from tests.factories import MemberFactory

    return MemberFactory(email="bob@example.com", tenant_name="Bob", plan="professional")


@pytest.fixture
def anonymous():
    from tests.people import Browser

    return Browser()


@pytest.fixture
def alices(alice):
    """Alice's browser."""
    from tests.people import Browser

    return Browser().into(alice.email)


@pytest.fixture
def bobs(bob):
    from tests.people import Browser

    return Browser().into(bob.email)


@pytest.fixture
def as_role(alice):
    """The browser of a colleague of Alice's with that role."""
    from tests.factories import colleague_make
    from tests.people import Browser

    def login(role):
        colleague_make(alice.tenant_id, role, email=f"{role}@alice.example")
        return Browser().into(f"{role}@alice.example")

    return login
