"""The API's reference is filled with a test key of the reader's own; tests/browser/test_reference.py tries it."""

import re

import pytest
from django.urls import reverse

from apps.apikeys.selectors import keys_of
from apps.core.scope import tenant_scope

pytestmark = pytest.mark.django_db
PAGE = "/api/docs"


def fill_in(client, slug):
    return client.post(reverse("apikeys:reference_key", kwargs={"slug": slug}))


def key_in(page):
    found = re.search(r'data-key="(rl_test_\w{38})"', page.content.decode())
    return found and found[1]


def test_a_member_gets_a_test_key_for_a_day(alices, alice):
    answer = fill_in(alices, alice.slug)
    assert answer["Location"] == PAGE
    cookie = answer.cookies["reference_key"]
    assert (cookie["path"], cookie["httponly"], cookie["max-age"]) == (PAGE, True, 3_600)
    page = alices.get(PAGE)
    assert page["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
    secret = key_in(page)
    with tenant_scope(alice.tenant_id):
        [key] = [key for key in keys_of(alice.tenant_id) if key.name == "API reference"]
    assert secret.endswith(key.last_four)
    assert not key.live
    assert (key.expires_at - key.created_at).total_seconds() == pytest.approx(86_400, abs=5)


def test_whoever_may_make_no_keys_is_offered_none(anonymous, as_role, alices, alice):
    assert b"Fill in a test key of Alice" in alices.get(PAGE).content
    assert b"Fill in" not in as_role("viewer").get(PAGE).content
    page = anonymous.get(PAGE).content
    assert b"Fill in" not in page
    assert f"/accounts/login/?next={PAGE}".encode() in page


def test_a_forged_key_is_not_filled_in(alices):
    alices.cookies["reference_key"] = f"rl_test_{'0' * 38}:forged"
    assert key_in(alices.get(PAGE)) is None


def test_at_the_most_keys_there_is_a_reason(alices, alice, settings):
    settings.MAX_KEYS = 1
    answer = fill_in(alices, alice.slug)
    assert answer["Location"] == reverse("apikeys:keys", kwargs={"slug": alice.slug})
    assert b"There are 1 API keys already" in alices.get(answer["Location"]).content
