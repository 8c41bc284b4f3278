"""A secret is shown once; afterwards a digest, the beginning and the last four remain."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from apps.apikeys.authentication import _marked
from apps.apikeys.models import ApiKey
from apps.apikeys.selectors import key_get, keys_of, secret_tenant
from apps.apikeys.services import key_create, key_revoke, key_rotate
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.scope import tenant_scope
from apps.tenants.models import KeyIndex
from ratelimiter.engine import keys
from ratelimiter.snapshot.keyring import Pepper, key_digest, key_is_well_formed
from tests.database import owner_connection
from tests.factories import key_make

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(("live", "start"), [(True, "rl_live_"), (False, "rl_test_")])
def test_a_secret_has_the_form_that_scanners_know(alice, live, start):
    issued = key_make(alice.tenant_id, live=live)
    assert issued.secret.startswith(start)
    assert key_is_well_formed(issued.secret)
    assert issued.key.masked == f"{issued.secret[:12]}…{issued.secret[-4:]}"


@pytest.mark.django_db(transaction=True)
def test_the_secret_stands_nowhere_in_the_database(alice):
    secret = key_make(alice.tenant_id).secret
    with owner_connection() as owner:
        columns = owner.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name) WHERE table_type = 'BASE TABLE'"
            " AND (table_schema IN ('public', 'analytics') OR table_schema LIKE 'cell\\_%')"
        ).fetchall()
        assert len(columns) > 100
        for schema, table, column in columns:
            found = owner.execute(
                f'SELECT count(*) FROM "{schema}"."{table}" WHERE "{column}"::text LIKE %s', [f"%{secret[14:30]}%"]
            ).fetchone()[0]
            assert found == 0, f"{schema}.{table}.{column}"


def test_a_secret_does_not_appear_when_what_carries_it_is_printed(alice):
    issued = key_make(alice.tenant_id)
    assert issued.secret not in repr(issued)


def test_the_digest_is_keyed_with_the_newest_pepper(alice, settings):
    settings.KEY_PEPPERS = [(2, "2f" * 32), (1, "1f" * 32)]
    secret = key_make(alice.tenant_id).secret
    with tenant_scope(alice.tenant_id):
        digest = ApiKey.objects.order_by("-id")[0].digest
    assert digest == key_digest(secret, Pepper(2, bytes.fromhex("2f" * 32)))
    assert digest.startswith("2:")
    # A key made with the older pepper goes on being recognised.
    assert secret_tenant(alice.secret, now=NOW) == alice.tenant_id


def test_index_and_key_say_the_same_and_doors_are_told_after_the_commit(
    alice, sent, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        issued = key_make(alice.tenant_id, scopes=["read", "check"], expires_at=NOW)
        assert sent == []
    entry = KeyIndex.objects.get(tenant_id=alice.tenant_id, key_id=issued.key.id)
    assert (entry.live, entry.scopes, entry.expires_at) == (True, ["check", "read"], NOW)
    assert sent == [("limits.key_publish", {"tenant_id": alice.tenant_id, "key_id": issued.key.id})]


def test_a_revoked_key_stays_revoked_and_again_is_no_error(alice, sent, django_capture_on_commit_callbacks):
    key = key_make(alice.tenant_id).key
    with django_capture_on_commit_callbacks(execute=True), tenant_scope(alice.tenant_id):
        key_revoke(tenant_id=alice.tenant_id, key_id=key.id, now=NOW)
        key_revoke(tenant_id=alice.tenant_id, key_id=key.id, now=NOW + timedelta(days=1))
        assert key_get(tenant_id=alice.tenant_id, key_id=key.id).revoked_at == NOW
    assert KeyIndex.objects.get(key_id=key.id).revoked_at == NOW
    assert sent == [("limits.key_publish", {"tenant_id": alice.tenant_id, "key_id": key.id})]


def test_rotation_overlaps(alice):
    old = key_make(alice.tenant_id, scopes=["check", "refund"])
    with tenant_scope(alice.tenant_id):
        new = key_rotate(tenant_id=alice.tenant_id, key_id=old.key.id, overlap=timedelta(hours=24), now=NOW)
        old_now = key_get(tenant_id=alice.tenant_id, key_id=old.key.id)
    assert new.secret != old.secret
    assert (new.key.live, new.key.scopes, new.key.rotated_from_id) == (True, ("check", "refund"), old.key.id)
    assert old_now.expires_at == NOW + timedelta(hours=24)
    assert secret_tenant(old.secret, now=NOW + timedelta(hours=23)) == alice.tenant_id
    assert secret_tenant(old.secret, now=NOW + timedelta(hours=25)) is None
    assert secret_tenant(new.secret, now=NOW + timedelta(hours=25)) == alice.tenant_id


def test_rotation_without_overlap_ends_the_old_key_at_once(alice):
    old = key_make(alice.tenant_id)
    with tenant_scope(alice.tenant_id):
        key_rotate(tenant_id=alice.tenant_id, key_id=old.key.id, overlap=timedelta(0), now=NOW)
    assert secret_tenant(old.secret, now=NOW) is None


def test_rotation_never_prolongs_a_key(alice):
    soon = NOW + timedelta(hours=1)
    old = key_make(alice.tenant_id, expires_at=soon)
    with tenant_scope(alice.tenant_id):
        key_rotate(tenant_id=alice.tenant_id, key_id=old.key.id, overlap=timedelta(days=7), now=NOW)
        assert key_get(tenant_id=alice.tenant_id, key_id=old.key.id).expires_at == soon


def test_an_ended_key_is_not_rotated(alice):
    old = key_make(alice.tenant_id)
    with tenant_scope(alice.tenant_id):
        key_revoke(tenant_id=alice.tenant_id, key_id=old.key.id, now=NOW)
        with pytest.raises(Conflict, match="has ended"):
            key_rotate(tenant_id=alice.tenant_id, key_id=old.key.id, overlap=timedelta(0), now=NOW)


def test_another_tenants_key_is_not_there(alice, bob):
    theirs = key_make(bob.tenant_id).key.id
    with tenant_scope(alice.tenant_id):
        with pytest.raises(NotFound):
            key_get(tenant_id=alice.tenant_id, key_id=theirs)
        with pytest.raises(NotFound):
            key_revoke(tenant_id=alice.tenant_id, key_id=theirs, now=NOW)
        with pytest.raises(NotFound):
            key_rotate(tenant_id=alice.tenant_id, key_id=theirs, overlap=timedelta(0), now=NOW)
    assert KeyIndex.objects.get(key_id=theirs).revoked_at is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["check", "root"]}, "scopes"),
    ],
)
def test_bad_input_is_named_by_its_field(alice, fields, field):
    with pytest.raises(Invalid) as refusal, tenant_scope(alice.tenant_id):
        key_create(**{"tenant_id": alice.tenant_id, "name": "api", "live": True} | fields)
    assert list(refusal.value.fields) == [field]


def test_the_database_refuses_unknown_scopes(alice):
    with pytest.raises(IntegrityError), tenant_scope(alice.tenant_id):
        ApiKey.objects.update(scopes=["root"])


def test_there_is_a_most(alice, settings):
    settings.MAX_KEYS = 2
    key_make(alice.tenant_id)
    with pytest.raises(Conflict, match="2 API keys"):
        key_make(alice.tenant_id)


def test_last_used_comes_from_the_doors(alice, counters):
    issued = key_make(alice.tenant_id)
    counters.hset(keys.key_last_used(alice.tenant_id), str(issued.key.id), str(int(NOW.timestamp())))
    with tenant_scope(alice.tenant_id):
        newest, first = keys_of(alice.tenant_id)
    assert (newest.last_used_at, first.last_used_at) == (NOW, None)


def test_asking_the_admin_api_is_use_too(alice, counters, client):
    issued = key_make(alice.tenant_id, scopes=["read"])
    _marked.clear()
    for _ in range(2):
        assert client.get("/api/v1/me", HTTP_AUTHORIZATION=f"Bearer {issued.secret}").status_code == 200
    with tenant_scope(alice.tenant_id):
        newest, first = keys_of(alice.tenant_id)
    assert (newest.last_used_at is not None, first.last_used_at) == (True, None)


def test_key_create_prints_the_secret_once(alice):
    out = StringIO()
    call_command("key_create", "--tenant", alice.slug, "--test", "--scope", "check", "--json", stdout=out)
    printed = json.loads(out.getvalue())
    assert (printed["tenant"], printed["live"]) == ("alice", False)
    assert secret_tenant(printed["api_key"], now=NOW) == alice.tenant_id
    out = StringIO()
    call_command("key_create", "--tenant", alice.slug, stdout=out)
    assert out.getvalue().startswith("rl_live_")
    with pytest.raises(CommandError, match="there is no tenant"):
        call_command("key_create", "--tenant", "nobody")
