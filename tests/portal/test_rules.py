import re

import pytest

from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.plans.services import plan_set
from tests.factories import rule_make

GOOD = {
    "name": "user-rpm", "type": "user", "limit": "100", "window_count": "5", "window_unit": "minute",
    "algorithm": "token_bucket", "burst": "250", "mode": "shadow", "on_failure": "open",
    "routes": "POST /v1/chat\nGET /v1/search/**", "ips": "203.0.113.0/24", "users": "",
    "attributes": "plan in pro, team\nregion is eu\nmodel starts with large-", "key": "",
    "priority": "7", "namespace": "", "enabled": "on",
}  # fmt: skip


def held(alice):
    with tenant_scope(alice.tenant_id):
        return rules_of(alice.tenant_id)


def test_a_rule_is_saved_as_the_form_says(alices, alice, counters):
    assert alices.post(f"/t/{alice.slug}/rules/new", GOOD).status_code == 302
    (rule,) = held(alice)
    assert (rule.name, rule.type, rule.key, rule.limit, rule.window_ms) == ("user-rpm", "user", ("user",), 100, 300_000)
    assert (rule.algorithm, rule.burst, rule.mode, rule.on_failure) == ("token_bucket", 250, "shadow", "open")
    assert (rule.priority, rule.namespace, rule.enabled) == (7, "default", True)
    assert rule.match == {
        "routes": ["POST /v1/chat", "GET /v1/search/**"],
        "ips": ["203.0.113.0/24"],
        "attributes": {"plan": {"in": ["pro", "team"]}, "region": {"equals": "eu"}, "model": {"prefix": "large-"}},
    }


def test_opening_and_saving_a_rule_changes_nothing(alices, alice, counters):
    alices.post(f"/t/{alice.slug}/rules/new", GOOD)
    (before,) = held(alice)
    form = alices.get(f"/t/{alice.slug}/rules/{before.id}").context["form"]
    values = {field.name: field.value() for field in form if field.value() is not None}
    values = {name: value for name, value in values.items() if value is not False}
    assert alices.post(f"/t/{alice.slug}/rules/{before.id}", values).status_code == 302
    (after,) = held(alice)
    differences = {
        name for name in before.__dataclass_fields__ if getattr(before, name) != getattr(after, name)
    }  # fmt: skip
    assert differences <= {"updated_at"}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "User RPM", "a-z"),
        ("name", "", "required"),
        ("limit", "0", "between 1 and"),
        ("limit", "many", "whole number"),
        ("window_count", "0", "greater than or equal to 1"),
        ("window_count", "999999999", "400 days"),
        ("burst", "100001", "1,000 times the limit"),
        ("type", "galaxy", "Select a valid choice"),
        ("algorithm", "guess", "Select a valid choice"),
        ("routes", "post v1/chat", "is not a route"),
        ("ips", "300.1.1.1", "no IP address"),
        ("attributes", "plan pro", "is not a condition"),
        ("attributes", "plan is pro\nplan is team", "stands here twice"),
        ("priority", "5000", "between"),
        ("namespace", "My Space", "a-z"),
    ],
)
def test_a_wrong_rule_names_the_field_and_keeps_the_rest(field, value, words, alices, alice, counters):
    answer = alices.post(f"/t/{alice.slug}/rules/new", GOOD | {field: value})
    assert answer.status_code == 422
    page = answer.content.decode()
    beside = page[page.index(f'id="id_{field}_error"') :][:900]
    assert words in beside
    kept = {
        "routes": ">\nPOST /v1/chat\nGET /v1/search/**</textarea>",
        "burst": 'value="250"',
        "name": 'value="user-rpm"',
    }
    for name, html in kept.items():
        if name != field:
            assert html in page
    assert held(alice) == []


def test_everything_that_is_wrong_is_said_at_once(alices, alice, counters):
    wrong = {"name": "User RPM", "limit": "many", "routes": "post v1/chat", "attributes": "plan pro"}
    page = alices.post(f"/t/{alice.slug}/rules/new", GOOD | wrong).content.decode()
    assert {f"id_{name}_error" for name in wrong} <= set(re.findall(r'id="(id_\w+_error)"', page))
    assert "4 fields need another look" in page


def test_a_name_that_is_taken_is_refused_beside_the_name(alices, alice, rule):
    answer = alices.post(f"/t/{alice.slug}/rules/new", GOOD)
    assert answer.status_code == 422
    assert "There is a rule “user-rpm” already." in answer.content.decode()


def test_a_refused_rule_does_not_raise_the_revision(alices, alice, rule):
    from apps.tenants.selectors import tenant_get

    before = tenant_get(alice.tenant_id).revision
    alices.post(f"/t/{alice.slug}/rules/new", GOOD)
    assert tenant_get(alice.tenant_id).revision == before


def test_a_type_that_the_plan_has_not_is_visible_locked_and_refused(alices, alice, counters):
    plan_set(tenant_id=alice.tenant_id, code="free")
    page = alices.get(f"/t/{alice.slug}/rules/new").content.decode()
    assert re.search(r'<option value="user" disabled>each user \(Startup plan\)</option>', page)
    assert re.search(r'<option value="custom" disabled>each combination of… \(Professional plan\)</option>', page)
    answer = alices.post(f"/t/{alice.slug}/rules/new", GOOD)
    assert answer.status_code == 422
    assert "The Startup plan has them" in answer.content.decode()


def test_a_custom_rule_counts_combinations(alices, alice, counters):
    alices.post(f"/t/{alice.slug}/rules/new", GOOD | {"type": "custom", "key": "user, attributes.model"})
    assert held(alice)[0].key == ("user", "attributes.model")
    answer = alices.post(f"/t/{alice.slug}/rules/new", GOOD | {"name": "x", "type": "custom", "key": "moon"})
    assert 'id="id_key_error"' in answer.content.decode()


def test_the_list_reads_as_sentences_in_the_order_of_evaluation(alices, alice, rule):
    rule_make(alice.tenant_id, name="first", limit=5_000, priority=9)
    page = alices.get(f"/t/{alice.slug}/rules").content.decode()
    text = re.sub(r"<[^>]+>", "", page)
    assert "For each user allow 100 per 1 minute (sliding window). When exceeded, deny." in text
    assert text.index("For everyone together allow 5,000") < text.index("For each user allow 100")


def test_the_filter_stays_in_the_address_and_narrows_by_words(alices, alice, rule):
    for number in range(6):
        rule_make(alice.tenant_id, name=f"other-{number}", type="ip")
    page = alices.get(f"/t/{alice.slug}/rules?q=Each+User").content.decode()
    assert "1 of 7 rules" in page
    assert "user-rpm" in page
    assert "other-1" not in page
    assert "No rule fits “zebra”" in alices.get(f"/t/{alice.slug}/rules?q=zebra").content.decode()


def test_without_rules_the_page_says_what_to_do(alices, alice, counters, as_role):
    assert "Write the first rule" in alices.get(f"/t/{alice.slug}/rules").content.decode()
    assert "Write the first rule" not in as_role("viewer").get(f"/t/{alice.slug}/rules").content.decode()


@pytest.mark.parametrize(
    ("action", "sent", "field", "value"),
    [("mode", {"mode": "shadow"}, "mode", "shadow"), ("enabled", {"enabled": "off"}, "enabled", False)],
)
def test_a_switch_works_with_and_without_htmx(action, sent, field, value, alices, alice, rule):
    url = f"/t/{alice.slug}/rules/{rule.id}/{action}"
    assert alices.post(url, sent)["Location"] == f"/t/{alice.slug}/rules"
    assert getattr(held(alice)[0], field) == value
    row = alices.post(url, sent, headers={"HX-Request": "true"}).content.decode()
    assert row.lstrip().startswith("<li")
    assert "<html" not in row


def test_a_switch_in_an_unknown_position_says_so(alices, alice, rule):
    page = alices.post(f"/t/{alice.slug}/rules/{rule.id}/mode", {"mode": "maybe"}, follow=True).content.decode()
    assert "The mode is not valid." in page
    assert held(alice)[0].mode == "enforce"


def test_switching_on_what_the_plan_has_not_is_refused_in_the_row(alices, alice, rule):
    alices.post(f"/t/{alice.slug}/rules/{rule.id}/enabled", {"enabled": "off"})
    plan_set(tenant_id=alice.tenant_id, code="free")
    url = f"/t/{alice.slug}/rules/{rule.id}/enabled"
    row = alices.post(url, {"enabled": "on"}, headers={"HX-Request": "true"}).content.decode()
    assert "The Startup plan has them" in row
    assert held(alice)[0].enabled is False


def test_deleting_asks_first_naming_rule_and_consequence(alices, alice, rule):
    page = alices.get(f"/t/{alice.slug}/rules/{rule.id}/delete").content.decode()
    assert "Delete rule user-rpm?" in page
    assert "It is the only one that is on: every check will pass." in page
    assert len(held(alice)) == 1
    answer = alices.post(f"/t/{alice.slug}/rules/{rule.id}/delete", follow=True)
    assert "Rule user-rpm is deleted." in answer.content.decode()
    assert held(alice) == []


def test_who_may_not_edit_reads_the_sentence_and_cannot_post(as_role, alice, rule):
    viewer = as_role("viewer")
    page = viewer.get(f"/t/{alice.slug}/rules/{rule.id}").content.decode()
    assert '<form class="editor' not in page
    assert "it reads rules and does not change them" in page
    assert viewer.post(f"/t/{alice.slug}/rules/{rule.id}", GOOD).status_code == 403


def test_the_preview_says_the_sentence_and_the_headers_and_saves_nothing(alices, alice, counters):
    page = alices.post(f"/t/{alice.slug}/rules/preview", GOOD | {"mode": "enforce"}).content.decode()
    text = re.sub(r"<[^>]+>", "", page).replace("&quot;", '"')
    assert "allow 100 per 5 minutes (token bucket, bursts up to 250)" in text
    assert 'RateLimit-Policy: "user-rpm";q=100;w=300' in text
    assert "HTTP/1.1 429 Too Many Requests" in text
    assert held(alice) == []


def test_a_shadow_rule_shows_no_denial_to_callers(alices, alice, counters):
    page = alices.post(f"/t/{alice.slug}/rules/preview", GOOD).content.decode()
    assert "429" not in page


def test_a_preview_of_no_rule_says_what_is_missing(alices, alice, counters):
    page = alices.post(f"/t/{alice.slug}/rules/preview", GOOD | {"name": ""}).content.decode()
    assert "Name: This field is required." in page


def test_what_somebody_named_is_never_markup(alices, alice, counters):
    hostile = GOOD | {"attributes": "plan is <script>alert(1)</script>"}
    alices.post(f"/t/{alice.slug}/rules/new", hostile)
    assert "<script>alert" not in alices.get(f"/t/{alice.slug}/rules").content.decode()


def test_a_page_with_a_hundred_rules_asks_the_database_at_most_15_times(
    alices, alice, counters, django_assert_max_num_queries
):
    for number in range(100):
        rule_make(alice.tenant_id, name=f"rule-{number}")
    with django_assert_max_num_queries(15):
        assert alices.get(f"/t/{alice.slug}/rules").status_code == 200
    with django_assert_max_num_queries(15):
        assert alices.get(f"/t/{alice.slug}/").status_code == 200
