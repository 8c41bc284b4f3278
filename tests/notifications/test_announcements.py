"""What we tell everybody: once an edition and tenant, on the status page, and in the portal until it is resolved."""

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.notifications import announcing
from apps.notifications.announcing import announce, announcement_put, announcements_left
from apps.notifications.kinds import Severity, kind_get
from apps.notifications.models import Notice
from apps.notifications.rendering import message_make
from apps.tenants.selectors import tenant_get
from apps.tenants.services import user_create
from tests.factories import PASSWORD, MemberFactory
from tests.people import Browser

FIELDS = {
    "title": "Checks answer slowly", "body": "We see p99 of 40 ms.", "state": "investigating", "component": "checks",
    "is_public": True, "tenant_ids": None,
}  # fmt: skip


def put(announcement_id=None, **changed):
    return announcement_put(announcement_id=announcement_id, **{**FIELDS, **changed}, now=timezone.now())


def heard(member):
    with tenant_scope(member.tenant_id):
        rows = Notice.objects.filter(kind__in=["system.alert", "system.update"]).order_by("id")
        return [row.context["state"] for row in rows]


def test_everybody_hears_once_an_edition_page_by_page_also_when_it_is_repeated(alice, bob, sent, monkeypatch):
    monkeypatch.setattr(announcing, "PAGE", 2)
    everybody = [alice, bob, *(MemberFactory() for _ in range(3))]
    made = put()
    while announcements_left():
        announce(announcement_id=made)
    announcing.Announcement.objects.update(is_told=False, told_until_id=0)  # as after a backup
    while announcements_left():
        assert announce(announcement_id=made) == 0
    put(made)  # nothing changed
    assert announcements_left() == []
    put(made, state="resolved")
    while announcements_left():
        announce(announcement_id=made)
    assert [heard(one) for one in everybody] == [["investigating", "resolved"]] * 5


def test_that_it_is_over_is_no_alarm_and_its_subject_says_so(alice, sent):
    made = put()
    announce(announcement_id=made)
    put(made, state="resolved", body="p99 is back at 3 ms.")
    announce(announcement_id=made)
    with tenant_scope(alice.tenant_id):
        rows = list(Notice.objects.order_by("id"))
    assert [kind_get(row.kind).severity for row in rows] == [Severity.CRITICAL, Severity.INFO]
    message = message_make(
        message_id="1", kind=kind_get(rows[1].kind), tenant=tenant_get(alice.tenant_id), context=rows[1].context,
        at=timezone.now(),
    )  # fmt: skip
    assert message.subject == "Resolved: Checks answer slowly"


def test_some_hear_of_what_concerns_some(alice, bob, sent):
    made = put(tenant_ids=[bob.tenant_id])
    announce(announcement_id=made)
    assert (heard(alice), heard(bob)) == ([], ["investigating"])


def test_the_status_page_says_what_is_not_well_and_later_what_was_not(anonymous, db, sent):
    page = anonymous.get("/status").content.decode()
    assert "All is well" in page
    assert "Nothing to report" in page
    made = put(body="<b>40 ms</b>")
    put(title="Not for all to see", is_public=False)
    page = anonymous.get("/status").content.decode()
    assert "Something is not well" in page
    assert page.count("Affected") == 1
    assert "&lt;b&gt;40 ms" in page
    assert "Not for all to see" not in page
    put(made, body="Mended.", state="resolved")
    page = anonymous.get("/status").content.decode()
    assert "All is well" in page
    assert page.index("Mended.") < page.index("40 ms")


def test_maintenance_that_is_planned_affects_nothing_yet(anonymous, db, sent):
    put(state="scheduled")
    assert "All is well" in anonymous.get("/status").content.decode()


def test_the_portal_shows_it_above_every_page_until_it_is_resolved(alices, alice, bobs, bob, sent):
    made = put(tenant_ids=[alice.tenant_id], is_public=False)
    assert "Checks answer slowly" in alices.get(f"/t/{alice.slug}/inbox/unread").content.decode()
    assert "Checks answer slowly" not in bobs.get(f"/t/{bob.slug}/inbox/unread").content.decode()
    put(made, state="resolved", tenant_ids=[alice.tenant_id])
    assert "Checks answer slowly" not in alices.get(f"/t/{alice.slug}/inbox/unread").content.decode()


@pytest.fixture
def staff(db):
    user_create(email="staff@example.com", password=PASSWORD, is_staff=True)
    return Browser().into("staff@example.com")


def test_staff_say_it_by_saving(staff, alice, sent, django_capture_on_commit_callbacks):
    form = FIELDS | {"is_public": "on", "tenant_ids": ""}
    with django_capture_on_commit_callbacks(execute=True):
        answer = staff.post(reverse("admin:notifications_house_announcement_add"), form)
    assert answer.status_code == 302
    [(task, arguments)] = [one for one in sent if one[0] == "notifications.announce"]
    announce(**arguments)
    assert heard(alice) == ["investigating"]
    url = reverse("admin:notifications_house_announcement_change", args=[arguments["announcement_id"]])
    assert staff.get(url).status_code == 200
    staff.post(url, form | {"state": "resolved"})
    announce(**arguments)
    assert heard(alice) == ["investigating", "resolved"]
    assert task == "notifications.announce"


@pytest.mark.parametrize("model", ["notifications_channel", "notifications_delivery"])
def test_staff_pick_a_tenant_before_they_see_its_rows(model, staff, alice):
    answer = staff.get(reverse(f"admin:{model}_changelist"))
    assert answer["Location"] == reverse("admin:tenants_tenant_changelist")
