"""One table of cases through both doors: the same status, body and headers, ids and times aside."""

import json
import re

import pytest

from apps.limits import judge as judging
from ratelimiter.engine.rules import Algorithm, FailurePolicy, Match, RuleMode, RuleType
from ratelimiter.snapshot.keyring import key_generate
from tests.door.rig import OLD_PEPPER, PEPPER, DoorProcess, Keyring, Valkey, rule

MINUTE_MS = 60_000
RULES = (
    rule("per-user", type=RuleType.USER, key=("user",), limit=3, window_ms=MINUTE_MS, priority=9),
    rule(
        "bucket", type=RuleType.CUSTOM, key=("user", "attributes.plan"), algorithm=Algorithm.TOKEN_BUCKET, limit=60,
        burst=5, window_ms=MINUTE_MS,
    ),
    rule(
        "fixed", type=RuleType.IP, key=("ip",), algorithm=Algorithm.FIXED_WINDOW, limit=2, window_ms=86_400_000,
        match=Match(routes=("POST /v1/*",)), on_failure=FailurePolicy.CLOSED,
    ),
    rule("shadow", type=RuleType.USER, key=("user",), limit=1, window_ms=MINUTE_MS, mode=RuleMode.SHADOW),
    rule("elsewhere", type=RuleType.USER, key=("user",), namespace="search", limit=5, window_ms=MINUTE_MS),
)  # fmt: skip

# Each case is a series of requests by one caller; {n} makes its counters its own.
CASES = {
    "no rule": [{}],
    "one rule up to its limit and past it": [{"user": "a{n}"}] * 5,
    "several rules": [{"user": "b{n}", "attributes": {"plan": "pro"}, "cost": 2}] * 3,
    "a cost above the limit": [{"user": "c{n}", "cost": 4}, {"user": "c{n}"}],
    "a fixed window": [{"ip": "2001:db8:{n}::1", "route": "POST /v1/chat"}] * 4,
    "peeking": [{"user": "d{n}", "mode": "peek"}, {"user": "d{n}"}, {"user": "d{n}", "mode": "peek", "cost": 3}],
    "reporting": [{"user": "e{n}", "mode": "report", "cost": 9}, {"user": "e{n}"}],
    "named rules": [{"user": "f{n}", "rules": ["per-user"]}, {"user": "f{n}", "rules": ["gone", "per-user"]}],
    "namespaces": [{"namespace": "search", "user": "g{n}"}, {"namespace": "nowhere"}],
    "bad fields": [
        {"cost": 0}, {"cost": 1.5}, {"cost": True}, {"mode": "x"}, {"ip": "x"}, {"user": 1}, {"moon": 1},
        {"rules": ["UP"]}, {"attributes": {"": "x"}}, {"user": "u" * 300}, {"refundable": 1}, {"namespace": "A B"},
    ],
    "bad bodies": [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"cost": NaN}', b'{"user": "\\ud800"}', b"[" * 5_000],
    "a large body": [b'{"user": "' + b"u" * 20_000 + b'"}'],
}  # fmt: skip

CREDENTIALS = {
    "none": lambda world: {},
    "not a key": lambda world: {"Authorization": "Bearer nonsense"},
    "another scheme": lambda world: {"Authorization": "Basic YTpi"},
    "a wrong checksum": lambda world: {"Authorization": "Bearer rl_live_" + "0" * 38},
    "an unknown key": lambda world: {"Authorization": f"Bearer {key_generate(live=True)}"},
    "an expired key": lambda world: {"Authorization": f"Bearer {world.keyring.key(world.tenant, expires_at_ms=1)}"},
    "without the scope": lambda world: {"Authorization": f"Bearer {world.keyring.key(world.tenant, scopes=['read'])}"},
    "of a suspended tenant": lambda world: {"Authorization": f"Bearer {world.keyring.key(world.suspended)}"},
    "of an older pepper": lambda world: {
        "Authorization": f"Bearer {world.keyring.key(world.tenant, pepper=OLD_PEPPER)}"
    },
    "a test key": lambda world: {"Authorization": f"Bearer {world.keyring.key(world.tenant, live=False)}"},
    "the other header": lambda world: {"X-API-Key": world.key},
    "both headers": lambda world: {"X-API-Key": world.key, "Authorization": f"Bearer {world.key}"},
    "with an Idempotency-Key": lambda world: {"Authorization": f"Bearer {world.key}", "Idempotency-Key": "x"},
}


class World:
    """A Valkey, a door and what is published to them."""

    def __init__(self, folder):
        self.valkey = Valkey(folder / "valkey")
        self.keyring = Keyring(self.valkey)
        self.tenant = self.keyring.tenant(*RULES)
        self.suspended = self.keyring.tenant(suspended=True)
        self.key = self.keyring.key(self.tenant)
        self.spool = folder / "spool"
        self.door = DoorProcess(self.valkey, self.spool)

    def stop(self):
        self.door.stop()
        self.valkey.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("doors"))
    yield world
    world.stop()


@pytest.fixture
def doors(world, settings, client):
    """The two ways to ask, each as (headers, raw body) -> (status, headers, body)."""
    settings.COUNTERS_URL = world.valkey.url
    settings.KEY_PEPPERS = [(pepper.version, pepper.secret.hex()) for pepper in (PEPPER, OLD_PEPPER)]
    settings.DOOR_WORKERS = 1
    settings.SPOOL_DIR = str(world.spool)
    judging.judge.cache_clear()

    def fast(headers, body):
        answer = world.door.request("POST", "/v1/check", body, headers)
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body

    def django(headers, body):
        answer = client.post("/api/v1/check", body, content_type="application/json", headers=headers)
        return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content

    yield fast, django
    judging.judge()._spool.close()
    judging.judge.cache_clear()


COMPARED = ("content-type", "ratelimit-policy", "ratelimit", "rl-decision", "www-authenticate")


def comparable(answer):
    """The answer with every id and time taken out. Retry-After must be there or not, alike."""
    status, headers, body = answer
    text = re.sub(rb'"(reset_ms|retry_after_ms)":[0-9]+', rb'"\1":T', body)
    text = re.sub(rb'"id":"chk_[0-9a-f]{24}"', b'"id":I', text)
    text = re.sub(rb"again in [0-9]+ ms", b"again in T ms", text)
    fields = {name: re.sub(r"t=[0-9]+", "t=T", headers[name]) for name in COMPARED if name in headers}
    return status, fields, "retry-after" in headers, bool(headers["x-request-id"]), text


def raw(body, number):
    return body if isinstance(body, bytes) else json.dumps(body).replace("{n}", str(number)).encode()


@pytest.mark.parametrize("name", CASES)
def test_on_bodies(world, doors, name):
    fast, django = doors
    headers = {"Authorization": f"Bearer {world.key}"}
    for body in CASES[name]:
        ours, theirs = fast(headers, raw(body, 1)), django(headers, raw(body, 2))
        assert comparable(ours) == comparable(theirs), body


@pytest.mark.parametrize("name", CREDENTIALS)
def test_on_credentials(world, doors, name):
    fast, django = doors
    headers = CREDENTIALS[name](world)
    assert comparable(fast(headers, b"{}")) == comparable(django(headers, b"{}"))


def test_on_one_counter(world, doors):
    """Both count in the same place: what one door admits, the other has less of."""
    headers = {"Authorization": f"Bearer {world.key}"}
    body = json.dumps({"user": "shared"}).encode()
    statuses = [door(headers, body)[0] for door in doors * 2]
    assert statuses == [200, 200, 200, 429]
