"""Whatever is sent to the admin API is answered with a status of the description, and never with a mistake of ours."""

import json
import random
from base64 import urlsafe_b64encode
from urllib.parse import quote

import pytest
from django.db import transaction

from tests.api.calling import client
from tests.api.test_access import ADDRESSES, CALLS, SCOPES, Things, bearer, url_of
from tests.api.test_rules import CHAT
from tests.factories import key_make, rule_make

pytestmark = pytest.mark.django_db
ODD = [
    None, True, 0, -1, 1.5, 2**31, 2**63, 10**40, -(10**40), 1e308, "", " ", "x" * 300, "é", "\u202e", "💥", "a\nb",
    "\0", "0", "null", "10s", "*", "**", "a/b", "../..", "%00", "'; DROP TABLE limits_rule; --",
    "<script>alert(1)</script>",
    [], [[]], [None], [1, "a"], ["x"] * 1_200, {}, {"": ""}, {"a": {"b": {"c": []}}}, {"in": []}, {"prefix": 5},
    "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2030-02-30", "Europe/Nowhere",
]  # fmt: skip
RICH = CHAT | {
    "algorithm": "fixed_window", "calendar": {"unit": "month", "zone": "UTC", "anchor": 3}, "window": None, "burst": 0,
    "escalation": {"breaches": 5, "within": "1m", "block": "10m"}, "mode": "enforce", "priority": 1, "lease": 1,
    "ipv6_prefix": 64, "namespace": "default", "action": "limit", "key": None, "enabled": True,
    "match": {"route": "/a", "ip": "10.0.0.0/8", "user": ["u"], "attributes": {"plan": {"in": ["pro"]}}},
    "on_failure": "open",
}  # fmt: skip
OVERRIDE = {"values": ["u_1"], "limit": 5, "burst": 0, "expires": "2030-12-31", "note": "why"}
FULL = {
    ("rules", "post"): RICH, ("rule", "put"): RICH, ("rule", "patch"): RICH, ("overrides", "post"): OVERRIDE,
    ("override", "put"): OVERRIDE, ("rules-bulk", "put"): {"rules": [RICH | {"overrides": [OVERRIDE]}]},
    ("rules-validate", "post"): {"rules": [RICH | {"overrides": [OVERRIDE]}]},
    ("api-keys", "post"): {"name": "x", "live": True, "scopes": ["check"], "expires_at": "2030-01-01T00:00:00Z"},
    ("api-key-rotate", "post"): {"overlap_s": 60}, ("tenant", "patch"): {"name": "A", "timezone": "UTC"},
}  # fmt: skip
QUERIES = (
    "cursor", "limit", "dry_run", "prune", "range", "since", "until", "zone", "step", "compare", "rule", "by",
    "outcome", "key", "check_id", "route", "user", "ip", "namespace", "actor", "action", "target",
)  # fmt: skip


def changed(value, chance):
    """The same with one place inside changed to something odd, added or taken away."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        if chance.random() < 0.1:
            return {held: value[held] for held in value if held != name}
        if chance.random() < 0.1:
            return {**value, "odd" if chance.random() < 0.5 else "\u0430": chance.choice(ODD)}
        return {**value, name: changed(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        return [changed(value[0], chance), *value[1:]]
    return chance.choice(ODD)


def sent(name, method, things, headers, chance):
    body = FULL.get((name, method), ADDRESSES[name][method][1])
    more = {} if body is None else {"data": json.dumps(changed(body, chance)), "content_type": "application/json"}
    address = url_of(name, things)
    if chance.random() < 0.5 or method == "get":
        value = chance.choice([odd for odd in ODD if isinstance(odd, str | int)])
        address += f"?{chance.choice(QUERIES)}={quote(str(value))}"
    with transaction.atomic():
        answer = getattr(client(), method)(address, headers={"If-Match": "*"} | headers, **more)
        transaction.set_rollback(True)
    return answer, address, more.get("data")


@pytest.mark.parametrize("name", [name for name, method in CALLS if method == "get"])
def test_no_parameter_holds_what_no_text_does(name, reader, alice, counters):
    address = url_of(name, Things(alice))
    for text in ("user=%00", "%00=1", "cursor=1&namespace=a%00"):
        with transaction.atomic():
            answer = client().get(f"{address}?{text}", headers=reader.headers)
            transaction.set_rollback(True)
        assert answer.status_code in (400, 403)


@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_is_sent_is_a_mistake_of_ours(seed, alice, counters, settings):
    settings.API_REQUESTS_A_TENANT = settings.API_REQUESTS_A_CREDENTIAL = 1_000_000
    chance, things = random.Random(seed), Things(alice)
    headers = bearer(key_make(alice.tenant_id, scopes=SCOPES).secret)
    for name, method in CALLS:
        for _ in range(12 if method == "get" or FULL.get((name, method)) else 3):
            answer, address, body = sent(name, method, things, headers, chance)
            said = (method, address, body, answer.content[:300])
            assert answer.status_code in (200, 201, 204, 400, 403, 404, 409, 422), said
            if answer.status_code >= 400:
                assert answer["Content-Type"] == "application/problem+json", said
                assert answer.json()["code"] != "internal", said


def test_an_offset_that_postgresql_does_not_know_is_only_another_way_to_write_a_moment(admin, alice, counters):
    rule_id = rule_make(alice.tenant_id, name="user-rpm", type="user").id
    moment, same = "2030-06-08T23:04:39-19:30", "2030-06-09T18:34:39+00:00"
    assert admin.post("api-keys", {"name": "x", "expires_at": moment}).json()["expires_at"] == same
    path = f"rate-limits/{rule_id}/overrides"
    assert admin.post(path, {"values": "u_1", "limit": 1, "expires": moment}).json()["expires"] == same
    admin.get("audit?since=2026-01-01T00:00:00-19:30")
    admin.post("analytics/markers", {"text": "v1", "at": "2026-01-01T00:00:00-19:30"})
    cursor = urlsafe_b64encode(b"2026-01-01T00:00:00-19:30|a").decode()
    admin.get(f"analytics/events?range=24h&cursor={quote(cursor)}")
    admin.post("analytics/markers", {"text": "v1", "at": "0001-01-01T00:00:00-19:30"}, status=400)
