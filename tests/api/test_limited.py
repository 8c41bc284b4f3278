"""The admin API within the product's own limits, by the product's own engine, in nobody's numbers."""

import pytest
from redis.exceptions import ConnectionError as RedisGone

from apps.limits import own
from tests.api.calling import Caller
from tests.factories import key_make

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = "tenants/current"


def limited(caller):
    told = caller.get(ADDRESS, status=429)
    assert told.json()["code"] == "rate_limited"
    assert 1 <= int(told["Retry-After"]) < 2 * 60  # what was asked in one window fades during the next
    return told


def test_every_answer_says_what_is_left(reader, settings):
    settings.API_REQUESTS_A_TENANT, settings.API_REQUESTS_A_CREDENTIAL = 50, 3
    first = reader.get(ADDRESS)
    assert first["RateLimit-Policy"] == '"api-credential";q=3;w=60, "api-tenant";q=50;w=60'
    assert first["RateLimit"].startswith('"api-credential";r=2;t=')
    assert "RL-Decision" not in first
    reader.patch(ADDRESS, {"name": "x"}, status=403)
    reader.get("rate-limits/1", status=404)
    assert limited(reader)["RateLimit"].startswith('"api-credential";r=0;t=')


def test_a_key_that_is_used_up_leaves_the_others_what_the_organisation_has(reader, alice, bob, settings):
    settings.API_REQUESTS_A_TENANT, settings.API_REQUESTS_A_CREDENTIAL = 3, 2
    other = Caller(key_make(alice.tenant_id, scopes=["read"]).secret)
    for _ in range(2):
        reader.get(ADDRESS)
    limited(reader)
    other.get(ADDRESS)
    assert '"api-tenant";r=0' in limited(other)["RateLimit"]
    Caller(key_make(bob.tenant_id, scopes=["read"]).secret).get(ADDRESS)


def test_it_is_in_nobodys_numbers(reader, alice, counters):
    reader.get(ADDRESS)
    names = {name.decode().partition(":")[0] for name in counters.keys("*") if b"{%d}" % alice.tenant_id in name}
    assert names <= {"keys"}  # when the key was used last
    assert len(counters.keys("ratelimit:{0}:*")) == 2


def test_while_the_store_is_away_each_process_counts(reader, settings, monkeypatch):
    settings.API_REQUESTS_A_TENANT, settings.API_REQUESTS_A_CREDENTIAL, settings.DOOR_WORKERS = 40, 2, 1
    own._store.cache_clear()

    def gone(*_):
        raise RedisGone

    monkeypatch.setattr(own.SyncStore, "_evaluate", gone)
    for _ in range(2):
        reader.get(ADDRESS)
    limited(reader)
    own._store.cache_clear()
