"""How long things are kept stands on a page, by the numbers that the purges read."""

import pytest
from django.urls import reverse

from apps.analytics.tables import TABLE
from apps.notifications.purging import KEPT
from apps.tenants.models import Cell
from apps.tenants.privacy.holdings import retentions
from tests.factories import colleague_make
from tests.people import Browser


@pytest.fixture
def page(alice, alices):
    def shown():
        return alices.get(reverse("tenants:retention", args=[alice.slug])).content.decode()

    return shown


def test_every_room_says_what_it_keeps(page):
    shown = page()
    assert {row.group for row in retentions()} == {"Checks", "Notices", "Keys and rules", "Organisation", "Money"}
    for row in retentions():
        assert row.what in shown
        assert bool(row.kept) != bool(row.until)
        assert row.kept is None or row.kept.days >= 1
    kept = {row.what: row.kept for row in retentions()}
    assert kept["Single checks, with digests of identifiers"] == TABLE["event"].keep
    assert kept["Notices, and what became of their deliveries"] == KEPT
    assert f"{KEPT.days} days" in shown
    assert "5 years" in shown


def test_who_may_not_see_settings_finds_it_in_the_explorer(alice):
    colleague_make(alice.tenant_id, "viewer", "vera@example.com")
    vera = Browser().into("vera@example.com")
    here = reverse("tenants:retention", args=[alice.slug])
    assert here in vera.get(f"/t/{alice.slug}/explorer").content.decode()
    assert f'/t/{alice.slug}/settings"' not in vera.get(here).content.decode()


def test_it_says_the_region_of_the_cell(page):
    Cell.objects.update(region="eu-central")
    assert "<strong>eu-central</strong>" in page()
