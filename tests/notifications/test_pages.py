"""Inbox and preferences, as members see them."""

import json
from contextlib import redirect_stdout
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.core.scope import tenant_scope
from apps.notifications.kinds import LISTED
from apps.notifications.selectors import matrix_of, own_mails
from tests.factories import notice_make


def page_of(browser, alice, path):
    return browser.get(f"/t/{alice.slug}/{path}").content.decode()


def test_the_inbox_counts_what_is_new_until_it_is_marked_as_read(alices, alice):
    assert "Nothing happened yet" in page_of(alices, alice, "inbox")
    for number in range(3):
        notice_make(alice.tenant_id, dedupe_key=str(number))
    notice_make(alice.tenant_id, kind="billing.receipt")
    page = page_of(alices, alice, "inbox")
    assert page.count("note-new") == 4
    assert '4<span class="unseen"> new</span>' in page_of(alices, alice, "inbox/unread")
    assert page.index("Receipt RL-2026-0042") < page.index("Quota 90 % used")
    assert page_of(alices, alice, "inbox").count("note-new") == 4  # looking is not reading
    assert alices.post(f"/t/{alice.slug}/inbox").status_code == 302
    page = page_of(alices, alice, "inbox")
    assert "note-new" not in page
    assert "badge" not in page_of(alices, alice, "inbox/unread")


def test_a_role_sees_in_the_inbox_what_it_hears_of(as_role, alice):
    notice_make(alice.tenant_id)
    notice_make(alice.tenant_id, kind="billing.receipt")
    assert "Receipt" not in page_of(as_role("developer"), alice, "inbox")
    assert "Receipt" in page_of(as_role("billing"), alice, "inbox")
    assert "Nothing happened yet" in page_of(as_role("viewer"), alice, "inbox")


def test_a_long_inbox_comes_in_pages(alices, alice):
    for number in range(35):
        notice_make(alice.tenant_id, dedupe_key=str(number))
    page = page_of(alices, alice, "inbox")
    assert page.count('class="note ') == 30
    before = page.split("?before=")[1].split('"')[0]
    assert page_of(alices, alice, f"inbox?before={before}").count('class="note ') == 5
    assert alices.get(f"/t/{alice.slug}/inbox?before=x").status_code == 200


def test_the_table_is_saved_by_who_may_and_shown_to_all(alices, alice, as_role):
    url = f"/t/{alice.slug}/notifications"
    chosen = {"what": "matrix", "on": ["quota.warning|email|viewer", "nonsense", "a|b|c"]}
    assert as_role("developer").post(url, chosen).status_code == 403
    assert alices.post(url, chosen).status_code == 302
    with tenant_scope(alice.tenant_id):
        rows = {row.kind.code: row.cells for row in matrix_of(alice.tenant_id)}
    assert [(cell.medium, cell.role) for cell in rows["quota.warning"] if cell.is_on] == [("email", "viewer")]
    assert any(cell.is_on for cell in rows["key.leaked"])
    assert "disabled" in page_of(as_role("viewer"), alice, "notifications")


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_everybody_sets_their_own_mails(role, as_role, alice):
    browser = as_role(role)
    url = f"/t/{alice.slug}/notifications"
    assert browser.post(url, {"what": "own", "mail": ["quota.warning"]}).status_code == 302
    user_id = int(browser.session["_auth_user_id"])
    with tenant_scope(alice.tenant_id):
        muted = own_mails(tenant_id=alice.tenant_id, user_id=user_id).muted
    assert "quota.exceeded" in muted
    assert "quota.warning" not in muted
    assert "key.leaked" not in muted


def test_the_demo_tells_one_of_every_kind(alice, rows):
    out = StringIO()
    with redirect_stdout(out):
        call_command("demo_notices", "--tenant", alice.slug, "--json")
    assert json.loads(out.getvalue()) == {"tenant": "alice", "notices": len(LISTED)}
    assert [row.kind for row in rows.notices] == [kind.code for kind in LISTED]
    with pytest.raises(CommandError, match="no tenant"):
        call_command("demo_notices", "--tenant", "nobody")


def test_a_members_own_mails_have_quiet_hours(alices, alice):
    url = f"/t/{alice.slug}/notifications"
    good = {"what": "own", "mail": [kind.code for kind in LISTED], "quiet_from": "22:00", "quiet_until": "07:00"}
    assert "Saved." in alices.post(url, good, follow=True).content.decode()
    assert 'value="22:00"' in page_of(alices, alice, "notifications")
    wrong = alices.post(url, good | {"quiet_until": "22:00"}, follow=True).content.decode()
    assert "another end" in wrong
    assert 'value="07:00"' in wrong
    alices.post(url, good | {"quiet_from": "", "quiet_until": ""})
    with tenant_scope(alice.tenant_id):
        own = own_mails(tenant_id=alice.tenant_id, user_id=alice.user_id)
    assert (own.quiet_from, own.quiet_until, own.muted) == (None, None, ())
