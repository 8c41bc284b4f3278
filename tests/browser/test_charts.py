"""Charts in a real browser: drawn, read by keyboard and as a table, and refreshed in place."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_first_check import sign_up


@pytest.fixture(scope="module")
def seeded(chromium, service):
    """(storage state, slug) of somebody whose organisation has two days of traffic."""
    context = chromium.new_context()
    page = context.new_page()
    sign_up(page, service, "charts@example.com", "Charts")
    slug = re.search(r"/t/([^/]+)/", page.url)[1]
    service.manage("analytics_ensure", role="owner")
    service.manage("analytics_seed", "--tenant", slug, "--days", "2")
    state = context.storage_state()
    context.close()
    return state, slug


@pytest.fixture
def opened(chromium, service, seeded, request):
    """Opens one of the organisation's pages; whatever it complains about fails the test."""
    state, slug = seeded
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, storage_state=state)
    context.set_default_timeout(15_000)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def go(path=""):
        page.goto(f"{service.portal_url}/t/{slug}/{path}")
        return page

    yield go
    context.close()
    assert complaints == []


def painted(page, chart):
    """How many different colours the drawing has: an empty canvas has one."""
    return page.evaluate(
        """(chart) => {
            const canvas = document.querySelector(`#${chart} canvas`);
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const colours = new Set();
            for (let at = 0; at < data.length; at += 4) colours.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
            return colours.size;
        }""",
        chart,
    )


def test_a_chart_is_drawn_and_its_table_has_the_same_numbers(opened):
    page = opened("traffic")
    expect(page.locator("#traffic-series-checks canvas")).to_be_visible()
    assert painted(page, "traffic-series-checks") > 3
    assert painted(page, "traffic-series-latency") > 3
    data = page.evaluate("JSON.parse(document.getElementById('traffic-series').textContent)")
    page.get_by_role("link", name="Table").first.click()
    expect(page).to_have_url(re.compile("view=table"))
    cells = page.locator(".chart-table td[data-label=Denied]").all_inner_texts()
    assert [int(cell.replace(",", "")) for cell in cells] == list(reversed(data["denied"]))
    expect(page.locator("canvas")).to_have_count(0)


def test_arrow_keys_read_a_chart_aloud(opened):
    page = opened("traffic")
    page.locator("#traffic-series-checks [data-chart-plot]").focus()
    says = page.locator("#traffic-series-checks [data-chart-says]")
    page.keyboard.press("ArrowRight")
    expect(says).to_contain_text(re.compile(r"\d\d:\d\d: Denied [\d,]+, Would deny in shadow [\d,]+, Allowed [\d,]+"))
    first = says.inner_text()
    page.keyboard.press("ArrowRight")
    expect(says).not_to_have_text(first)
    page.keyboard.press("ArrowLeft")
    expect(says).to_have_text(first)


def test_a_refresh_gives_the_drawing_new_numbers_and_leaves_it_in_place(opened):
    page = opened()
    expect(page.locator("#live-series-checks canvas")).to_be_visible()
    page.evaluate("window.held = document.querySelector('#live-series-checks canvas')")
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        pass
    page.wait_for_function("document.querySelector('#live-series-checks canvas') === window.held")
    assert painted(page, "live-series-checks") > 1


def test_pickers_show_at_once_what_was_picked(opened):
    page = opened("traffic")
    page.select_option("#range", "6h")
    expect(page).to_have_url(re.compile("range=6h"))
    page.select_option("#range", "custom")
    expect(page.locator("#since")).to_be_visible()
    page.select_option("#zone", "Asia/Tokyo")
    expect(page.locator("#zone")).to_have_value("Asia/Tokyo")


def test_a_check_opens_to_say_why(opened):
    page = opened("explorer?outcome=denied")
    page.locator(".check summary").first.click()
    expect(page.locator(".check-why .facts").first).to_contain_text("limit_exceeded")


def test_a_rule_is_replayed_before_it_is_saved(opened):
    page = opened("rules/new")
    page.fill("[name=limit]", "3")
    page.get_by_role("button", name="Replay them").click()
    expect(page.locator("#replay")).to_contain_text(re.compile(r"would have denied [\d,]+ of [\d,]+ checks"))
    before = page.locator("#replay .sentence").inner_text()
    page.fill("[name=limit]", "1000")
    page.locator("[name=limit]").blur()
    expect(page.locator("#replay .sentence")).not_to_have_text(before)
