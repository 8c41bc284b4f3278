"""Pages, rules and keys by name; the plain page is what a browser without JavaScript has."""

import re

import pytest

from apps.core.scope import tenant_scope
from apps.limits.services import rule_create
from tests.factories import SpecFactory


@pytest.fixture
def found(alice):
    def ask(client, wanted=""):
        page = client.get(f"/t/{alice.slug}/find", {"q": wanted})
        assert page.status_code == 200
        return re.findall(r'<a href="([^"]+)" data-found><span>([^<]+)</span> <small>(\w+)', page.content.decode())

    return ask


def test_a_rule_a_key_and_a_page_are_found_by_a_part_of_their_name(alices, alice, rule, key, found):
    home = f"/t/{alice.slug}"
    assert found(alices, "RPM") == [(f"{home}/rules/{rule.id}", "user-rpm", "Rule")]
    assert (f"{home}/keys#key-{key.id}", "api", "Key") in found(alices, "api")
    assert f'id="key-{key.id}"'.encode() in alices.get(f"{home}/keys").content
    assert found(alices, "rule new") == [(f"{home}/rules/new", "New rule", "Page")]


def test_names_that_begin_with_it_come_first_and_there_are_not_too_many(alices, alice, counters, found):
    with tenant_scope(alice.tenant_id):
        for number in range(14):
            rule_create(tenant_id=alice.tenant_id, spec=SpecFactory(name=f"the-team-{number}"))
    names = [name for _, name, _ in found(alices, "team")]
    assert names[0] == "Team"
    assert len(names) == 12


def test_a_role_finds_what_it_may_open(as_role, found):
    client = as_role("viewer")
    named = {name for _, name, _ in found(client)}
    assert "Rules" in named
    assert not named & {"New rule", "New key", "Audit", "Settings", "Bill"}


def test_what_is_not_there_is_looked_for_among_checks(alices, alice, found):
    assert found(alices, "u_42") == []
    page = alices.get(f"/t/{alice.slug}/find?q=u_42").content.decode()
    assert f'href="/t/{alice.slug}/explorer?q=u_42"' in page
