"""Whatever stands in a page's address, it is answered, and never with an error of ours."""

from urllib.parse import quote

import pytest

from tests.portal.test_access import PAGES, check, rule, url_of  # noqa: F401 - fixtures, too

NAMES = (
    "after", "all", "before", "by", "channel", "compare", "cursor", "link", "namespace", "outcome", "page", "period",
    "q", "range", "rule", "show", "since", "state", "step", "tail", "than", "until", "view", "zone", "user", "ip",
    "route", "key", "check_id", "limit", "actor", "action", "target",
)  # fmt: skip
TOGETHER = ("%ed%a0%80", quote("'\"><{{7*7}}"), "-1", "x" * 3_000)
ALONE = {"since": quote("0001-01-01T00:00:00+14:00"), "until": quote("9999-12-31T23:59:59-12:00")}
ASKING = [
    name
    for name in PAGES
    if name.startswith(("analytics:", "tenants:audit", "notifications:inbox", "notifications:log"))
    or name in ("limits:overrides", "billing:bill", "billing:bill_csv")
]
GETS = [name for name, (method, _) in PAGES.items() if method == "get"]


@pytest.fixture
def page(as_role, alice, rule, key):  # noqa: F811
    """The status of a page's answer to an owner."""
    browser = as_role("owner")
    return lambda name, query: browser.get(f"{url_of(name, alice.slug, rule, key)}?{query}").status_code


def test_every_page_answers_whatever_its_address_says(page):
    asked = {
        (name, value): page(name, "&".join(f"{parameter}={value}" for parameter in NAMES))
        for name in GETS
        for value in TOGETHER
    }
    assert {one: status for one, status in asked.items() if status >= 500} == {}


def test_one_parameter_alone_is_answered_too(page):
    asked = {
        (name, parameter): page(name, f"{parameter}={ALONE.get(parameter, '9' * 40)}")
        for name in ASKING
        for parameter in NAMES[:24]
        if PAGES[name][0] == "get"
    }
    assert {one: status for one, status in asked.items() if status >= 500} == {}


def test_a_character_that_no_text_has_is_refused_before_anything_is_asked(page, anonymous):
    assert [page(name, "range=%00") for name in GETS] == [400] * len(GETS)
    assert anonymous.get("/pricing?x=%00").status_code == 400
    assert anonymous.get("/pricing?x=%2500").status_code == 200
