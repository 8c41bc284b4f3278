import os
from pathlib import Path

import pytest
import redis

from tests.browser.reading import Reader
from tests.browser.rig import CHROMIUM, CHROMIUM_FLAGS, Service


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM.exists():
                item.add_marker(pytest.mark.skip(reason=f"needs {CHROMIUM} (Debian's package chromium)"))


@pytest.fixture(scope="package")
def service(tmp_path_factory):
    """The whole service, on the parts of the test run but in their real database.

    Its tenants have the numbers that other tests' tenants had, so what those left in Redis goes first.
    """
    for name in ("COUNTERS_URL", "BUS_URL"):
        with redis.Redis.from_url(os.environ[name]) as client:
            client.flushall()
    with Service(dict(os.environ), tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="package")
def chromium():
    """Playwright's loop runs in this thread, where Django would else refuse to fill the live server's database."""
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as play:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def reader(chromium, live_server):
    """Makes readers, each a person of its own; see tests.browser.reading."""
    made = []

    def make(client=None):
        made.append(Reader(chromium, live_server.url, client))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def page(chromium):
    """A fresh browser window; anything that a page complains about on the console fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def filled(alice, sent, counters, transactional_db):
    """Alice's organisation, see tests.browser.filled; on the live server."""
    from tests.analytics.rows import ingesting
    from tests.browser.filled import fill

    with ingesting() as ingest:
        yield fill(alice, ingest)
