"""What anybody may read."""

import re

import pytest
from django.urls import reverse

from apps.core.changelog import releases_read

pytestmark = pytest.mark.django_db
CHANGES = """# Changelog

Words.

## Unreleased

### For customers

- New `a`.

### For operators

- Not this.

## 1.1.0 (2027-01-05)

### For staff

- Nor this.

## 1.0.0 (2027-01-01)

### For customers

- <b>Old</b>.
"""


@pytest.mark.parametrize(
    "name",
    [
        "limits:landing",
        "plans:pricing",
        "limits:docs",
        "limits:docs_concepts",
        "limits:docs_algorithms",
        "core:problems",
        "core:changelog",
    ],
)
def test_an_open_page_answers_everybody(name, anonymous):
    answer = anonymous.get(reverse(name))
    assert answer.status_code == 200
    assert answer.content.count(b"<h1") == 1


@pytest.mark.parametrize(
    "name",
    [
        "limits:landing",
        "plans:pricing",
        "limits:docs",
        "limits:docs_concepts",
        "limits:docs_algorithms",
        "core:problems",
        "core:changelog",
    ],
)
def test_every_link_of_an_open_page_leads_somewhere(name, anonymous):
    page = anonymous.get(reverse(name)).content.decode()
    for path in set(re.findall(r'href="(/[^"#]*)', page)):
        if not path.startswith("/static/"):
            assert anonymous.get(path).status_code == 200, path
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_no_page_has_inline_scripts_or_styles(anonymous):
    page = anonymous.get("/").content.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", page)
    assert "unsafe-inline" not in anonymous.get("/")["Content-Security-Policy"]


def test_the_landing_page_shows_the_example_key_when_there_is_one(anonymous, settings):
    assert b"Bearer $RATELIMITER_KEY" in anonymous.get("/").content
    settings.EXAMPLE_KEY = "rl_test_example"
    assert b"Bearer rl_test_example" in anonymous.get("/").content


def test_prices_are_those_of_the_plans(anonymous):
    from apps.plans.models import Plan

    Plan.objects.filter(code="startup").update(price_cents=5_900, included_checks=2_345_678)
    page = anonymous.get("/pricing").content.decode()
    assert "$59" in page
    assert "2,345,678" in page


def test_the_docs_python_is_python(anonymous):
    import html

    page = anonymous.get("/docs/").content.decode()
    snippet = html.unescape(re.search(r'id="snippet-python">(.*?)</code>', page, re.DOTALL)[1])
    compile(snippet, "check.py", "exec")


def test_the_theme_is_a_cookie_that_the_next_page_obeys(anonymous):
    assert b'data-theme="dark"' not in anonymous.get("/").content
    answer = anonymous.post("/theme", {"theme": "dark", "next": "/pricing"})
    assert answer["Location"] == "/pricing"
    assert b'data-theme="dark"' in anonymous.get("/").content


def test_the_theme_refuses_other_words_and_leads_to_no_other_site(anonymous):
    assert anonymous.post("/theme", {"theme": "neon"}).status_code == 400
    assert anonymous.post("/theme", {"theme": "dark", "next": "https://elsewhere.example/"})["Location"] == "/"


def test_assets_are_kept_for_ever_under_their_digest_only(anonymous):
    page = anonymous.get("/").content.decode()
    for path in re.findall(r'"(/assets/[^"]+)"', page):
        answer = anonymous.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer["Cache-Control"]
        assert anonymous.get(re.sub("/assets/[^/]+", "/assets/old", path))["Cache-Control"] == "no-cache"
    assert anonymous.get("/assets/x/other.css").status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "words"), [("/nothing", 404, "There is nothing here"), ("/t/none/", 302, "")]
)
def test_what_is_not_there_has_a_page_of_its_own(path, status, words, anonymous):
    answer = anonymous.get(path)
    assert answer.status_code == status
    assert words in answer.content.decode()


def test_what_breaks_has_a_page_of_its_own(anonymous, monkeypatch):
    from apps.plans import views

    monkeypatch.setattr(views, "plans_all", lambda: 1 / 0)
    anonymous.raise_request_exception = False
    answer = anonymous.get("/pricing")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()


def test_an_expired_form_says_so():
    from django.test import Client

    answer = Client(enforce_csrf_checks=True).post("/theme", {"theme": "dark"})
    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()


def test_the_changelog_tells_customers_their_part(anonymous):
    page = anonymous.get("/docs/changelog").content.decode()
    assert "<code>POST /v1/check</code>" in page
    assert "manage.py" not in page  # is for operators


def test_a_changelog_is_read_by_release_and_reader():
    newest, first = releases_read(CHANGES)
    assert (newest.title, first.title) == ("", "1.0.0 (2027-01-01)")
    assert newest.html == "<ul>\n<li>New <code>a</code>.</li>\n</ul>\n"
    assert first.html == "<ul>\n<li>&lt;b&gt;Old&lt;/b&gt;.</li>\n</ul>\n"
