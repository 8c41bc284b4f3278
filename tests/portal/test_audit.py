"""The audit page, its export and the API: what owners and admins see of who did what."""

import csv
import json
import re
import subprocess
import sys
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pytest
from django.urls import reverse

from apps.core.origin import Actor, acting, working
from apps.core.scope import tenant_scope
from apps.limits.services import rule_mode_set, rule_update
from tests.factories import SpecFactory, key_make, rule_make
from tests.people import Browser

GENESIS = "0" * 64
DOCS = Path(__file__).resolve().parents[2] / "docs" / "audit.md"


@pytest.fixture
def url(alice):
    return reverse("tenants:audit", args=[alice.slug])


@pytest.fixture
def rule(alice, counters):
    """Made by the system, changed by Alice."""
    made = rule_make(alice.tenant_id, name="user-rpm", type="user", limit=100)
    with acting(Actor("user", alice.user_id, alice.email)), tenant_scope(alice.tenant_id):
        rule_update(
            tenant_id=alice.tenant_id, rule_id=made.id, spec=SpecFactory(name="user-rpm", type="user", limit=250)
        )
    return made


def page(client, url, **asked):
    return client.get(url, asked).content.decode()


def test_a_change_reads_as_a_sentence_with_what_was_and_what_is(alices, rule, url):
    shown = " ".join(page(alices, url).split())
    assert "<strong>alice@example.com</strong> changed the rule <b>user-rpm</b>" in shown
    assert '<span class="audit-was">100</span> <span aria-hidden="true">→</span>' in shown
    assert "<span>250</span>" in shown


def test_what_the_service_does_by_itself_is_ours_and_the_task_a_detail(alices, alice, url):
    with working("task", "billing.account_sync", "id-1"), tenant_scope(alice.tenant_id):
        rule_make(alice.tenant_id, name="search")
    shown = " ".join(page(alices, url).split())
    assert "<strong>Ratelimiter</strong> made the rule <b>search</b>" in shown
    assert "Tasks: billing.account_sync" in shown


@pytest.mark.parametrize(
    ("asked", "there", "gone"),
    [
        ({"actor": "ALICE@"}, "changed the rule", "made the rule"),
        ({"actor": "kind:system"}, "made the rule", "changed the rule"),
        ({"action": "rule.updated"}, "changed the rule", "made the rule"),
        ({"action": "rule"}, "made the rule", "made the API key"),
        ({"target": "user-r"}, "made the rule", "made the API key"),
        ({"since": "2001-01-01"}, "made the rule", "Nothing like that"),
        ({"until": "2001-01-01"}, "Nothing like that", "made the rule"),
    ],
)
def test_what_is_asked_for_is_shown_and_the_rest_is_not(asked, there, gone, alices, rule, url):
    shown = page(alices, url, **asked)
    assert there in shown
    assert gone not in shown
    assert all(f'value="{value}"' in shown for value in asked.values())


def test_the_days_are_those_of_the_organisations_zone(alices, alice, rule, url):
    from django.utils import timezone

    today = f"{timezone.now():%Y-%m-%d}"
    assert "made the rule" in page(alices, url, since=today, until=today)


@pytest.mark.parametrize(
    "asked", [{"since": "yesterday"}, {"since": "9999-12-31"}, {"since": "2026-02-01", "until": "2026-01-01"}]
)
def test_days_that_make_no_sense_are_said_and_left_out(asked, alices, rule, url):
    answer = alices.get(url, asked)
    assert answer.status_code == 422
    assert "Start over" in answer.content.decode()
    assert "made the rule" in answer.content.decode()
    assert alices.get(f"{url}.csv", asked).status_code == 422


def test_pages_neither_skip_nor_repeat_while_entries_come(alices, alice, rule, url):
    with tenant_scope(alice.tenant_id):
        for number in range(80):
            mode = "shadow" if number % 2 else "enforce"
            rule_mode_set(tenant_id=alice.tenant_id, rule_id=rule.id, mode=mode)
    seen, query = [], {}
    while True:
        answer = alices.get(url, query)
        seen += [row.entry.seq for row in answer.context["rows"]]
        if answer.context["older"] is None:
            break
        query = {"before": answer.context["older"]}
        key_make(alice.tenant_id)
    assert seen == list(range(len(seen), 0, -1))


def test_a_word_that_nobody_wrote_finds_nothing_and_leads_back(alices, rule, url):
    shown = page(alices, url, target="nothing-of-that-name")
    assert "Nothing like that" in shown
    assert f'href="{url}"' in shown


def test_what_somebody_wrote_is_shown_as_text(alices, alice, url):
    alices.post(
        reverse("tenants:settings", args=[alice.slug]), {"name": "<script>alert(1)</script>", "timezone": "UTC"}
    )
    shown = page(alices, url)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert" not in shown


def test_the_export_holds_the_chain_and_no_formula(alices, alice, url):
    for name in ("=1+1", "+1", "-1", "@SUM(A1)"):
        alices.post(reverse("tenants:settings", args=[alice.slug]), {"name": name, "timezone": "UTC"})
    text = b"".join(alices.get(f"{url}.csv").streaming_content).decode()
    rows = list(csv.DictReader(StringIO(text)))
    assert not [cell for row in rows for cell in row.values() if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}]
    assert "'=1+1" in {row["target"] for row in rows}
    prev = GENESIS
    for row in reversed(rows):
        assert row["prev_hash"] == prev
        prev = sha256(f"{prev}\n{row['seq']}\n{row['record']}".encode()).hexdigest()
        assert row["hash"] == prev
    assert json.loads(rows[0]["record"])["after"] == {"name": "@SUM(A1)"}


def test_the_export_is_verified_by_the_lines_in_the_docs(alices, rule, url, tmp_path):
    lines = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]
    export = tmp_path / "audit.csv"
    content = b"".join(alices.get(f"{url}.csv").streaming_content)

    def verify():
        ran = subprocess.run([sys.executable, "-c", lines, export], capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    export.write_bytes(content)
    count = len(alices.get(url).context["rows"])
    assert verify() == (0, f"{count} entries hold; the last hash is {alices.get(url).context['rows'][0].entry.hash}\n")
    export.write_bytes(content.replace(b"250", b"999"))
    assert verify()[0] == 1


def test_the_export_follows_the_filter(alices, rule, url):
    text = b"".join(alices.get(f"{url}.csv", {"action": "rule.updated"}).streaming_content).decode()
    assert {row["action"] for row in csv.DictReader(StringIO(text))} == {"rule.updated"}


def test_a_rules_page_shows_its_history_and_owners_are_led_on(alices, as_role, alice, rule):
    address = reverse("limits:rule", args=[alice.slug, rule.id])
    shown = page(alices, address)
    assert "changed the rule" in shown
    assert f"?target=rule:{rule.id}" in shown
    theirs = page(as_role("developer"), address)
    assert "changed the rule" in theirs
    assert "?target=rule:" not in theirs


class TestApi:
    def get(self, secret, **asked):
        return Browser().get("/api/v1/audit", asked, headers={"Authorization": f"Bearer {secret}"})

    @pytest.fixture
    def secret(self, alice):
        return key_make(alice.tenant_id, scopes=["admin"]).secret

    def test_200_pages_by_cursor_and_filters(self, secret, alice, rule):
        first = self.get(secret, action="rule", limit=1).json()
        assert [one["action"] for one in first["entries"]] == ["rule.updated"]
        assert first["entries"][0]["after"] == {"limit": 250}
        second = self.get(secret, action="rule", limit=1, cursor=first["next"]).json()
        assert [one["action"] for one in second["entries"]] == ["rule.created"]
        assert second["next"] is None

    def test_a_key_that_changes_something_is_named(self, secret, alice):
        made = Browser().post(
            "/api/v1/analytics/markers", {"text": "v1"}, content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )  # fmt: skip
        assert made.status_code == 201
        newest = self.get(secret).json()["entries"][0]
        assert newest["action"] == "marker.created"
        assert newest["actor"]["kind"] == "key"
        assert newest["actor"]["name"].startswith("api (rl_live_")
        assert newest["from"]["via"] == "api"
        assert secret not in json.dumps(newest)

    def test_403_without_the_scope_and_401_without_a_key(self, alice):
        reader = key_make(alice.tenant_id, scopes=["check", "read"]).secret
        assert self.get(reader).status_code == 403
        assert Browser().get("/api/v1/audit").status_code == 401

    @pytest.mark.parametrize(
        "wrong",
        [{"limit": "0"}, {"limit": "1001"}, {"cursor": "x"}, {"since": "2026-01-01"}, {"until": "x"}, {"actor": "\0"}],
    )
    def test_400_names_the_field(self, wrong, secret):
        answer = self.get(secret, **wrong)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == f"/{next(iter(wrong))}"

    def test_another_tenants_entries_are_not_there(self, secret, bob):
        assert "Bob" not in json.dumps(self.get(secret).json())
