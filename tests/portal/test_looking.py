"""Staff see an organisation as one of its members does: with a reason, for half an hour, and nothing else."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.tenants import looking
from apps.tenants.audit.reading import Wanted, entries_of
from apps.tenants.looking import LookingOnly, reading_only
from apps.tenants.models import Membership, Tenant, User
from tests.factories import colleague_make, rule_make

REASON = "ticket 4711: cannot find the rule"


def look(staff, member, reason=REASON):
    return staff.post(
        reverse("admin:tenants_look", args=[member.tenant_id]), {"member": member.user_id, "reason": reason}
    )


def overview(client, member):
    return client.get(reverse("analytics:overview", args=[member.slug]))


@pytest.fixture
def looker(staff, alice, counters):
    assert look(staff, alice)["Location"] == f"/t/{alice.slug}/"
    return staff


def test_the_page_offers_the_members_and_asks_for_a_reason(staff, alice, bob):
    page = staff.get(reverse("admin:tenants_look", args=[alice.tenant_id])).content.decode()
    assert alice.email in page
    assert bob.email not in page
    assert "Say in 8 to 200 characters why" in look(staff, alice, reason="because").content.decode()
    assert overview(staff, alice).status_code == 404


def test_the_organisation_reads_who_looked_as_whom_and_why(looker, alice):
    looker.post(reverse("admin:tenants_look_end"))
    with tenant_scope(alice.tenant_id):
        ended, begun = entries_of(tenant_id=alice.tenant_id, wanted=Wanted(action="member"), limit=2)
    assert (begun.action, begun.actor_kind, begun.actor_name) == ("member.looked_as", "staff", "staff@example.com")
    assert (begun.target_name, begun.after["reason"]) == (alice.email, REASON)
    assert ended.action == "member.look_ended"


def test_pages_are_the_members_with_a_banner_and_end_with_it(looker, alice):
    page = overview(looker, alice).content.decode()
    assert f"as {alice.email} does</strong>" in page
    looker.post(reverse("admin:tenants_look_end"))
    assert overview(looker, alice).status_code == 404


def test_nothing_can_be_changed(looker, alice):
    made = rule_make(alice.tenant_id, name="mine")
    answer = looker.post(reverse("limits:rule_enabled", args=[alice.slug, made.id]), {"enabled": ""})
    assert answer.status_code == 403
    assert "Nothing can be changed" in answer.content.decode()
    with tenant_scope(alice.tenant_id):
        assert [rule.enabled for rule in rules_of(alice.tenant_id)] == [True]


def test_a_role_that_may_less_sees_less(staff, alice, counters):
    viewer = colleague_make(alice.tenant_id, "viewer", "vera@example.com")
    staff.post(reverse("admin:tenants_look", args=[alice.tenant_id]), {"member": viewer, "reason": REASON})
    assert overview(staff, alice).status_code == 200
    assert staff.get(reverse("tenants:audit", args=[alice.slug])).status_code == 403


def test_other_organisations_stay_closed_and_staff_stay_themselves_elsewhere(looker, alice, bob):
    assert overview(looker, bob).status_code == 404
    assert "staff@example.com" in looker.get(reverse("tenants:account")).content.decode()
    assert alice.email not in looker.get(reverse("tenants:account")).content.decode()


def test_it_is_over_after_half_an_hour(looker, alice, monkeypatch):
    later = timezone.now() + timedelta(minutes=30)
    monkeypatch.setattr(looking.timezone, "now", lambda: later)
    assert overview(looker, alice).status_code == 404


def test_it_is_over_when_somebody_is_no_longer_staff(looker, alice):
    User.objects.filter(email="staff@example.com").update(is_staff=False)
    assert overview(looker, alice).status_code == 404


def test_members_cannot_look(alices, bob):
    assert look(alices, bob).status_code == 302
    assert overview(alices, bob).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda: Tenant.objects.update(name="x"),
        lambda: Membership.objects.all().delete(),
        lambda: User.objects.create_user("new@example.com"),
        lambda: connection.cursor().execute("WITH gone AS (DELETE FROM tenants_tenant RETURNING 1) SELECT 1 FROM gone"),
    ],
)
def test_whatever_a_page_would_write_is_refused_by_the_connection(change, alice):
    with pytest.raises(LookingOnly), transaction.atomic(), reading_only():
        change()
    assert Tenant.objects.get(id=alice.tenant_id).name != "x"
