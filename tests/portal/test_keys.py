import re
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.apikeys.selectors import key_get, keys_of
from apps.apikeys.services import key_revoke
from apps.core.scope import tenant_scope
from tests.factories import key_make

GOOD = {"name": "api-production", "kind": "live", "scopes": ["check", "read"], "expires": "30"}
SECRET = re.compile(r"rl_(?:live|test)_[0-9A-Za-z]{38}")


def held(alice):
    with tenant_scope(alice.tenant_id):
        return keys_of(alice.tenant_id)


def test_a_secret_is_shown_once_and_then_never_again(alices, alice, counters):
    made = alices.post(f"/t/{alice.slug}/keys/new", GOOD)
    assert made.status_code == 302
    first, second = (alices.get(made["Location"]).content.decode() for _ in range(2))
    secret = SECRET.search(first)[0]
    assert secret.startswith("rl_live_")
    assert secret not in second
    assert "The secret was shown already" in second
    assert not SECRET.search(alices.get(f"/t/{alice.slug}/keys").content.decode())
    assert secret not in str(dict(alices.session))


def test_the_page_with_a_secret_is_not_kept_by_caches(alices, alice, counters):
    made = alices.post(f"/t/{alice.slug}/keys/new", GOOD)
    assert "no-store" in alices.get(made["Location"])["Cache-Control"]


def test_a_forged_handover_cookie_shows_nothing(alices, alice, key):
    alices.cookies[f"new_key_{alice.slug}"] = f"rl_live_{'0' * 34}{key.last_four}:forged"
    page = alices.get(f"/t/{alice.slug}/keys/{key.id}/made").content.decode()
    assert "The secret was shown already" in page


def test_a_key_is_made_as_asked(alices, alice, counters):
    alices.post(f"/t/{alice.slug}/keys/new", GOOD)
    key = held(alice)[0]
    assert (key.name, key.live, key.scopes) == ("api-production", True, ("check", "read"))
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)


@pytest.mark.parametrize(
    ("field", "value"), [("name", ""), ("name", "x" * 65), ("kind", "gold"), ("scopes", []), ("expires", "3")]
)
def test_a_wrong_key_names_the_field_and_keeps_the_rest(field, value, alices, alice, counters):
    before = len(held(alice))
    answer = alices.post(f"/t/{alice.slug}/keys/new", GOOD | {field: value})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert f'id="id_{field}_error"' in page
    if field != "name":
        assert 'value="api-production"' in page
    if field != "scopes":
        assert re.search(r'value="read"[^>]*checked', page)
    assert len(held(alice)) == before


def test_the_list_shows_beginning_end_and_use(alices, alice, key, counters):
    from ratelimiter.engine import keys as spelling

    counters.hset(spelling.key_last_used(alice.tenant_id), str(key.id), str(int(timezone.now().timestamp()) - 120))
    page = alices.get(f"/t/{alice.slug}/keys").content.decode()
    assert key.masked in page
    assert "2 minutes ago" in page
    assert "not yet" in page


def test_a_revoked_key_leaves_the_list_until_it_is_asked_for(alices, alice, key):
    answer = alices.post(f"/t/{alice.slug}/keys/{key.id}/revoke", follow=True)
    assert f"{key.name} ({key.masked}) is revoked." in answer.content.decode()
    assert key.masked not in alices.get(f"/t/{alice.slug}/keys").content.decode()
    assert key.masked in alices.get(f"/t/{alice.slug}/keys?show=all").content.decode()


def test_the_question_before_revoking_names_the_key_and_the_consequence(alices, alice, key):
    page = alices.get(f"/t/{alice.slug}/keys/{key.id}/revoke").content.decode()
    assert f"Revoke {key.name}?" in page
    assert "refused with 401" in page
    with tenant_scope(alice.tenant_id):
        assert key_get(tenant_id=alice.tenant_id, key_id=key.id).revoked_at is None


def test_rotating_makes_a_successor_and_lets_the_old_one_end_later(alices, alice, key):
    made = alices.post(f"/t/{alice.slug}/keys/{key.id}/rotate", {"overlap": "24"})
    assert SECRET.search(alices.get(made["Location"]).content.decode())
    new = held(alice)[0]
    assert new.rotated_from_id == key.id
    with tenant_scope(alice.tenant_id):
        old = key_get(tenant_id=alice.tenant_id, key_id=key.id)
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(hours=24)


def test_a_wrong_overlap_or_an_ended_key_is_refused_on_the_page(alices, alice, key):
    url = f"/t/{alice.slug}/keys/{key.id}/rotate"
    answer = alices.post(url, {"overlap": "99999"})
    assert answer.status_code == 422
    assert 'id="id_overlap_error"' in answer.content.decode()
    with tenant_scope(alice.tenant_id):
        key_revoke(tenant_id=alice.tenant_id, key_id=key.id, now=timezone.now())
    answer = alices.post(url, {"overlap": "24"})
    assert answer.status_code == 422
    assert "This API key has ended" in answer.content.decode()


def test_without_a_working_key_the_page_says_what_to_do(alices, alice, counters):
    with tenant_scope(alice.tenant_id):
        for key in keys_of(alice.tenant_id):
            key_revoke(tenant_id=alice.tenant_id, key_id=key.id, now=timezone.now())
    page = alices.get(f"/t/{alice.slug}/keys").content.decode()
    assert "No working key" in page
    assert "Make a test key" in page


def test_many_keys_come_in_pages(alices, alice, counters):
    for _ in range(55):
        key_make(alice.tenant_id)
    page = alices.get(f"/t/{alice.slug}/keys").content.decode()
    assert "1 to 50 of 56" in page
    assert 'href="?page=2"' in page
    assert "51 to 56 of 56" in alices.get(f"/t/{alice.slug}/keys?page=2").content.decode()
