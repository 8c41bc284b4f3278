"""Overrides of a rule: looked through, added, changed, deleted, brought along as lines."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.limits.selectors import overrides_of
from apps.tenants.services import tenant_update
from tests.factories import override_make, rule_make

ADD = {"value_0": "u_911", "effect": "limit", "limit": "50", "expires_at": "", "note": ""}


@pytest.fixture
def url(alice, rule):
    return f"/t/{alice.slug}/rules/{rule.id}/overrides"


def held(alice, rule):
    with tenant_scope(alice.tenant_id):
        return {
            ",".join(one.values): (one.limit, one.note)
            for one in overrides_of(tenant_id=alice.tenant_id, rule_id=rule.id)
        }


def text(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_without_overrides_the_page_says_what_they_are_for(alices, as_role, alice, rule, url):
    assert "Everybody has the rule’s own limit: 100 per 1 minute." in text(alices.get(url))
    viewer = text(as_role("viewer").get(url))
    assert "A developer, admin or owner of Alice can add one." in viewer
    assert "Add an override" not in viewer


@pytest.mark.parametrize(
    ("sent", "limit"),
    [({}, 50), ({"effect": "blocked", "limit": ""}, 0), ({"effect": "unlimited", "limit": "9"}, None)],
)
def test_one_is_added(sent, limit, alices, alice, rule, url):
    assert alices.post(url, ADD | sent | {"note": "ticket 7"}).status_code == 302
    assert held(alice, rule) == {"u_911": (limit, "ticket 7")}


def test_until_is_in_the_organisations_zone(alices, alice, rule, url):
    tenant_update(tenant_id=alice.tenant_id, name="Alice", timezone="Asia/Tokyo")
    alices.post(url, ADD | {"expires_at": "2099-01-01T09:00"})
    with tenant_scope(alice.tenant_id):
        (one,) = overrides_of(tenant_id=alice.tenant_id, rule_id=rule.id)
    assert one.expires_at == datetime(2099, 1, 1, tzinfo=UTC)
    assert "1 Jan 2099, 09:00" in text(alices.get(url))


@pytest.mark.parametrize(
    ("sent", "field", "words"),
    [
        ({"value_0": ""}, "value_0", "required"),
        ({"limit": ""}, "limit", "choose “block”"),
        ({"limit": "0"}, "limit", "choose “block”"),
        ({"limit": "99999999999"}, "limit", "between 0 and"),
        ({"expires_at": "2020-01-01T00:00"}, "expires_at", "in the past"),
        ({"note": "n" * 201}, "note", "at most 200"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_saved(sent, field, words, alices, alice, rule, url):
    answer = alices.post(url, ADD | sent)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert words in page[page.index(f'id="id_{field}_error"') :][:900]
    assert held(alice, rule) == {}


def test_a_rule_of_several_dimensions_asks_for_each(alices, alice, counters):
    rule = rule_make(alice.tenant_id, type="custom", key=("ip", "attributes.plan"), algorithm="token_bucket")
    url = f"/t/{alice.slug}/rules/{rule.id}/overrides"
    sent = {"value_0": "203.0.113.7/24", "value_1": "pro*", "effect": "limit", "limit": "5", "burst": "20"}
    assert alices.post(url, sent | {"value_0": "nowhere"}).status_code == 422
    assert alices.post(url, sent).status_code == 302
    assert held(alice, rule) == {"203.0.113.0/24,pro*": (5, "")}
    assert "5 per 1 minute, bursts up to 20" in text(alices.get(url))


def test_one_is_changed_and_deleted(alices, alice, rule, url):
    one = override_make(alice.tenant_id, rule.id, ["u_1"], 5, expires_at=timezone.now() + timedelta(days=9))
    override_make(alice.tenant_id, rule.id, ["u_2"], 5)
    form = alices.get(f"{url}/{one.id}").context["form"]
    values = {field.name: field.value() or "" for field in form}
    assert (values["value_0"], values["effect"], values["limit"]) == ("u_1", "limit", 5)
    assert alices.post(f"{url}/{one.id}", ADD | {"value_0": "u_2"}).status_code == 422
    assert alices.post(f"{url}/{one.id}", ADD | {"value_0": "u_3", "effect": "blocked"}).status_code == 302
    assert held(alice, rule) == {"u_2": (5, ""), "u_3": (0, "")}
    page = text(alices.get(f"{url}/{one.id}/delete"))
    assert "Delete the override for u_3 ?" in page
    assert "Now: blocked. Within a second the rule’s own limit holds again: 100 per 1 minute." in page
    assert alices.post(f"{url}/{one.id}/delete").status_code == 302
    assert held(alice, rule) == {"u_2": (5, "")}


def test_the_list_is_paged_filtered_and_marks_what_is_over(alices, alice, rule, url):
    for number in range(51):
        override_make(alice.tenant_id, rule.id, [f"u_{number:02}"], number + 1)
    override_make(alice.tenant_id, rule.id, ["zoe"], 7, note="Launch", expires_at=timezone.now() - timedelta(days=3))
    page = text(alices.get(url))
    assert "52 overrides" in page
    assert "1 to 50 of 52" in page
    assert "zoe" not in page
    assert "ended 3 days ago" in text(alices.get(f"{url}?page=2"))
    assert "1 of 52 overrides" in text(alices.get(f"{url}?q=launch"))
    assert "No override fits “nobody”" in text(alices.get(f"{url}?q=nobody"))


def test_the_filter_answers_htmx_with_the_table_alone(alices, alice, rule, url):
    override_make(alice.tenant_id, rule.id)
    fragment = alices.get(f"{url}?q=u_", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert "u_1" in fragment


def test_lines_are_imported_whole(alices, alice, rule, url):
    override_make(alice.tenant_id, rule.id, ["stays"], 1)
    lines = 'user,limit,expires\nacme,25000\n\n vip-* , unlimited ,2099-12-31\n"a,b",blocked,,Abuse\n'
    answer = alices.post(f"{url}/import", {"lines": lines}, follow=True)
    assert "Overrides: 3 added." in text(answer)
    assert held(alice, rule) == {
        "stays": (1, ""), "acme": (25_000, ""), "vip-*": (None, ""), "a,b": (0, "Abuse"),
    }  # fmt: skip
    assert "Overrides: 1 changed, 2 as they were." in text(
        alices.post(f"{url}/import", {"lines": lines.replace("25000", "26000")}, follow=True)
    )


def test_a_file_is_imported_and_may_replace_the_list(alices, alice, rule, url):
    override_make(alice.tenant_id, rule.id, ["goes"], 1)
    file = SimpleUploadedFile("o.csv", b"\xef\xbb\xbfu_1,5\r\nu_2,blocked\r\n")
    answer = alices.post(f"{url}/import", {"file": file, "prune": "on"}, follow=True)
    assert "Overrides: 2 added, 1 deleted." in text(answer)
    assert held(alice, rule) == {"u_1": (5, ""), "u_2": (0, "")}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("u_1,5\nu_2", "Line 2: Has 1 parts"),
        ("u_1,5\nu_2,many", "Line 2: “many” is no limit"),
        ("u_1,٥", "Line 1: “٥” is no limit"),
        ("u_1,5,someday", "Line 1: “someday” is no moment"),
        ("u_1,5\n\nu_1,6", "Line 3: “u_1” stands here twice."),
        (",5", "Line 1: A value has 1 to 256 bytes."),
        ("u_1,99999999999", "Line 1: Must be between 0 and"),
        ("u_1,5,,,7", "Line 1: Only the token bucket has a burst."),
        ('u_1,5\n"u_2', "Line 2"),
        ("", "There is no line here."),
    ],
)
def test_lines_that_cannot_be_taken_are_named_and_nothing_is_saved(lines, words, alices, alice, rule, url):
    answer = alices.post(f"{url}/import", {"lines": lines})
    assert answer.status_code == 422
    assert words in text(answer)
    assert held(alice, rule) == {}


def test_what_is_exported_is_imported_again_without_a_change(alices, alice, rule, url):
    override_make(alice.tenant_id, rule.id, ['q"uo,te'], None, note="a, b")
    override_make(alice.tenant_id, rule.id, ["u_1"], 5, expires_at=timezone.now() + timedelta(days=1))
    exported = alices.get(f"{url}/export")
    assert exported["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="user-rpm-overrides.csv"' in exported["Content-Disposition"]
    answer = alices.post(f"{url}/import", {"lines": exported.content.decode(), "prune": "on"}, follow=True)
    assert "Overrides: 2 as they were." in text(answer)


def test_who_may_not_edit_reads_and_cannot_post(as_role, alice, rule, url):
    override_make(alice.tenant_id, rule.id)
    viewer = as_role("viewer")
    page = viewer.get(url).content.decode()
    assert "u_1" in page
    assert "/delete" not in page
    assert viewer.post(url, ADD).status_code == 403


def test_a_rule_that_counts_everyone_together_has_none(alices, alice, counters):
    rule = rule_make(alice.tenant_id)
    assert alices.get(f"/t/{alice.slug}/rules/{rule.id}/overrides").status_code == 404
    assert "/overrides" not in alices.get(f"/t/{alice.slug}/rules/{rule.id}").content.decode()


def test_too_many_is_a_sentence(alices, alice, rule, url, monkeypatch):
    from apps.limits import override_services

    monkeypatch.setattr(override_services, "MAX_OVERRIDES_OF_RULE", 1)
    override_make(alice.tenant_id, rule.id)
    for answer in (alices.post(url, ADD), alices.post(f"{url}/import", {"lines": "u_2,5"})):
        assert answer.status_code == 422
        assert "A rule can have 1 overrides" in text(answer)
    assert len(held(alice, rule)) == 1


def test_what_somebody_named_is_never_markup(alices, alice, rule, url):
    override_make(alice.tenant_id, rule.id, ["<script>alert(1)</script>"], note="<b>x</b>")
    page = alices.get(url).content.decode()
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page
