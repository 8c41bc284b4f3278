"""Belonging to several organisations, and their settings."""

import re

from apps.tenants.models import Membership, Tenant
from tests.factories import MemberFactory, colleague_make


def test_a_new_organisation_comes_with_its_first_key(alices, alice, counters):
    answer = alices.post("/organisations/new", {"name": "Second", "timezone": "UTC"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/t/second/onboarding"
    assert re.search(r"Bearer rl_test_[0-9A-Za-z]{38}", answer.content.decode())
    assert Membership.objects.get(tenant__slug="second").user_id == alice.user_id


def test_a_wrong_organisation_names_the_field_and_keeps_the_rest(alices):
    answer = alices.post("/organisations/new", {"name": " ", "timezone": "Europe/Berlin"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'id="id_name_error"' in page
    assert '<option value="Europe/Berlin" selected>' in page
    assert Tenant.objects.count() == 1


def test_an_organisation_without_a_first_key_is_none(alices, monkeypatch, counters):
    from apps.apikeys import services
    from apps.core.errors import Conflict

    def refuse(**_):
        raise Conflict("no keys today")

    monkeypatch.setattr(services, "key_create", refuse)
    answer = alices.post("/organisations/new", {"name": "Second", "timezone": "UTC"})
    assert answer.status_code == 422
    assert "no keys today" in answer.content.decode()
    assert Tenant.objects.count() == 1


def test_the_switcher_lists_where_one_belongs_and_nothing_else(alices, alice, bob, counters):
    from apps.tenants.services import membership_put

    third = MemberFactory(email="carol@example.com", tenant_name="Carol")
    membership_put(tenant_id=third.tenant_id, user_id=alice.user_id, role="viewer")
    page = alices.get(f"/t/{alice.slug}/").content.decode()
    assert f'href="/t/{third.slug}/"' in page
    assert f'href="/t/{bob.slug}/"' not in page


def test_home_is_the_organisation_that_was_open_last(alices, alice, counters):
    alices.post("/organisations/new", {"name": "Second", "timezone": "UTC"}, follow=True)
    assert alices.get("/home")["Location"] == "/t/second/"
    alices.get(f"/t/{alice.slug}/")
    assert alices.get("/home")["Location"] == f"/t/{alice.slug}/"


def test_home_of_somebody_without_organisation_is_the_form_for_one(alices, alice):
    Membership.objects.all().delete()
    assert alices.get("/home")["Location"] == "/organisations/new"


def test_the_team_shows_colleagues_and_what_roles_may_do(alices, alice):
    colleague_make(alice.tenant_id, "viewer", email="vera@example.com")
    page = alices.get(f"/t/{alice.slug}/team").content.decode()
    assert "vera@example.com" in page
    assert "make, rotate and revoke keys" in page


def test_name_and_time_zone_are_saved(alices, alice):
    answer = alices.post(f"/t/{alice.slug}/settings", {"name": "Wonderland", "timezone": "Europe/London"})
    assert answer.status_code == 302
    tenant = Tenant.objects.get(id=alice.tenant_id)
    assert (tenant.name, tenant.timezone) == ("Wonderland", "Europe/London")


def test_wrong_settings_name_the_field_keep_what_was_typed_and_save_nothing(alices, alice):
    answer = alices.post(f"/t/{alice.slug}/settings", {"name": "Wonderland", "timezone": "Mars/Olympus"})
    assert answer.status_code == 422
    assert 'id="id_timezone_error"' in answer.content.decode()
    assert 'value="Wonderland"' in answer.content.decode()
    assert Tenant.objects.get(id=alice.tenant_id).name == "Alice"


def test_times_are_shown_in_the_tenants_zone(alices, alice):
    Tenant.objects.filter(id=alice.tenant_id).update(timezone="Asia/Tokyo")
    assert "JST" in alices.get(f"/t/{alice.slug}/team").content.decode()
