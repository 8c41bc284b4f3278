"""What people and their callers wrote is no formula in any CSV that the product makes."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.limits.override_lines import overrides_read, overrides_text
from apps.limits.overrides import OverrideSpec
from apps.tenants.services import tenant_update, user_update
from tests.analytics.rows import Rows, ingesting
from tests.factories import key_make, override_make, rule_make
from tests.portal.test_access import PAGES

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", '=HYPERLINK("http://x","y")', "'=1+1", "''-1"]
PATHS = {
    "analytics:traffic_csv": "traffic.csv", "analytics:events_csv": "explorer.csv", "billing:bill_csv": "bill.csv",
    "limits:overrides_export": "rules/{rule_id}/overrides/export", "tenants:audit_csv": "audit.csv",
}  # fmt: skip


@pytest.fixture
def rule(alice, counters):
    """Alice's, and a hostile text in everything that she and her callers can write."""
    made = rule_make(alice.tenant_id, name="user-rpm", type="user")
    with ingesting() as ingest:
        rows, now = Rows(ingest, alice.tenant_id), timezone.now()
        for position, text in enumerate(FORMULAS):
            value = text if text.isprintable() else f"u_{position}"
            override_make(alice.tenant_id, made.id, (value,), note=text)
            rows.event(
                now - timedelta(seconds=position), f"chk_{position}", route=text, user=text, ip=text, namespace=text
            )
        with tenant_scope(alice.tenant_id):
            tenant_update(tenant_id=alice.tenant_id, name="=cmd|'/c calc'!A1", timezone="UTC")
        user_update(user_id=alice.user_id, name="@SUM(A1)")
        key_make(alice.tenant_id)
        yield made


def cells(client, alice, name, rule):
    answer = client.get(f"/t/{alice.slug}/{PATHS[name].format(rule_id=rule.id)}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return [cell for row in csv.reader(StringIO(answer.getvalue().decode(), newline="")) for cell in row]


def test_the_table_has_every_csv():
    assert {name for name in PAGES if "csv" in name or name == "limits:overrides_export"} == set(PATHS)


@pytest.mark.parametrize("name", PATHS)
def test_no_cell_begins_a_formula(name, alices, alice, rule):
    read = cells(alices, alice, name, rule)
    assert len(read) > 1
    assert [cell for cell in read if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}] == []


def test_what_was_written_is_in_them(alices, alice, rule):
    assert "'=1+1" in cells(alices, alice, "analytics:events_csv", rule)
    assert "'@SUM(A1)" in cells(alices, alice, "limits:overrides_export", rule)
    assert any("cmd|" in cell for cell in cells(alices, alice, "tenants:audit_csv", rule))


def test_guarded_values_of_overrides_are_read_back_as_they_were():
    specs = [OverrideSpec((text,), 5, note=text) for text in FORMULAS if text == text.strip()]
    text = overrides_text(specs, key=["user"])
    assert [spec for _, spec in overrides_read(text, dimensions=1, zone=timezone.get_default_timezone())] == specs
