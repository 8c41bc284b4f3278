"""No page weighs more than 120 kB with all that it asks for, as it goes over the line in production."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from tests.analytics.rows import ingesting
from tests.browser.filled import OPEN, OWN, fill

MOST = 120_000  # bytes
ASKED = re.compile(r'<(?:link|script|img)\b[^>]*?(?:href|src)="(/(?:static|assets)/[^"]+)"')
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def filled(alice, sent, counters):
    with ingesting() as ingest:
        yield fill(alice, ingest)


def weight(client, path, kept):
    """The page and its parts as they are served to a browser; static files as WhiteNoise compresses them."""
    page, size = served(client, path)
    parts = set(ASKED.findall(page.decode()))
    for part in parts - set(kept):
        name = part.removeprefix("/static/")
        kept[part] = (
            served(client, part)[1] if name == part else len(gzip.compress(Path(finders.find(name)).read_bytes()))
        )
    return size + sum(kept[part] for part in parts)


def served(client, path):
    """(content, bytes on the way)"""
    answer = client.get(path, headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200, path
    is_packed = answer.get("Content-Encoding") == "gzip"
    return gzip.decompress(answer.content) if is_packed else answer.content, len(answer.content)


def test_every_page_and_all_that_it_asks_for(anonymous, alices, alice, filled):
    kept = {}
    weights = {path: weight(anonymous, path, kept) for path in OPEN}
    own = [path for path in OWN if path != "/accounts/reauthenticate/"]
    weights |= {path: weight(alices, path, kept) for path in [*filled.pages(alice.slug), *own]}
    assert {path: size for path, size in weights.items() if size > MOST} == {}
    assert any("/static/vendor/" in part for part in kept)  # scripts of the charts were weighed, too
