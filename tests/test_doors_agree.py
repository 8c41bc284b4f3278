"""One table of cases through both doors: the same status, body and headers, ids and times aside."""

import json
import re

import pytest

from apps.limits import judge as judging
from ratelimiter.engine.quota import Quota
from ratelimiter.engine.rules import (
    UNLIMITED,
    Action,
    Algorithm,
    Calendar,
    CalendarUnit,
    Escalation,
    FailurePolicy,
    Match,
    Override,
    RuleMode,
    RuleType,
)
from ratelimiter.snapshot.keyring import key_generate
from ratelimiter.snapshot.model import TenantSnapshot, overrides_encode
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

RICH_TENANT, POOR_TENANT = 777, 778
BY_USER = {"type": RuleType.USER, "key": ("user",), "window_ms": MINUTE_MS}
PER_USER = rule("per-user", limit=5, **BY_USER)
BY_IP = rule("by-ip", type=RuleType.IP, key=("ip",), limit=5, window_ms=MINUTE_MS, namespace="net")
GATE = {"type": RuleType.GLOBAL, "limit": 0, "window_ms": 1_000, "namespace": "gated"}
RICH_RULES = (
    PER_USER,
    BY_IP,
    rule("slots", limit=2, namespace="slots", algorithm=Algorithm.CONCURRENCY, **BY_USER),
    rule("log", limit=2, namespace="log", algorithm=Algorithm.SLIDING_LOG, **BY_USER),
    rule("strikes", limit=1, namespace="strikes", escalation=Escalation(2, MINUTE_MS, 600_000), **BY_USER),
    rule("scrapers", action=Action.DENY, match=Match(ips=("198.51.100.0/24",)), **GATE),
    rule("root", action=Action.ALLOW, match=Match(users=("root",)), **GATE),
    rule("gated", limit=1, namespace="gated", **BY_USER),
    rule(
        "daily", type=RuleType.USER, key=("user",), limit=2, window_ms=86_400_000, namespace="calendar",
        algorithm=Algorithm.FIXED_WINDOW, calendar=Calendar(CalendarUnit.DAY, "Europe/Berlin"),
    ),
    rule(
        "monthly", type=RuleType.USER, key=("user",), limit=9, window_ms=30 * 86_400_000, namespace="calendar",
        algorithm=Algorithm.FIXED_WINDOW, calendar=Calendar(CalendarUnit.MONTH, "Asia/Tokyo", 31),
    ),
)  # fmt: skip
RICH_OVERRIDES = {
    PER_USER.id: overrides_encode(
        [
            Override(("vip",), 7), Override(("pre-*",), 2), Override(("pre-fix-*",), 3), Override(("bad",), 0),
            Override(("free",), UNLIMITED), Override(("old",), 1, 0, 1_000),
        ]
    ),
    BY_IP.id: overrides_encode([Override(("203.0.113.0/24",), 1), Override(("2001:db8:1::/48",), 0)]),
}  # fmt: skip
CHECK, EXPLAIN, REFUND, RELEASE = "check", "check/explain", "checks/{first}/refund", "checks/{first}/release"
INLINE = {"name": "mine", "limit": 1, "window_ms": MINUTE_MS, "key": ["user"]}


def ask(path=CHECK, key=None, /, **body):
    """One step of a case: where, with which Idempotency-Key, what. {first} is the id in the case's first answer."""
    return path, {"Idempotency-Key": key} if key else {}, body


# Each case is a series of requests; {n} makes its counters and keys one door's own.
RICH_CASES = {
    "an idempotent repeat": [ask(CHECK, "k{n}", user="a{n}")] * 3 + [ask(user="a{n}")],
    "another request with that key": [
        ask(CHECK, "l{n}", user="b{n}"), ask(CHECK, "l{n}", user="b{n}", cost=2), ask(user="b{n}"),
    ],
    "a repeated denial": [ask(CHECK, "m{n}", user="c{n}", cost=6)] * 2,
    "keys that are none": [ask(CHECK, "k" * 256, user="d{n}"), ask(CHECK, "a b", user="d{n}")],
    "a repeat where nothing is counted": [ask(CHECK, "o{n}", user="free")] * 2,
    "a repeat where all is blocked": [ask(CHECK, "p{n}", user="bad")] * 2,
    "a refund": [
        ask(user="e{n}", cost=3, refundable=True), ask(REFUND, amount=4), ask(REFUND, amount=2), ask(REFUND, amount=1),
        ask(REFUND), ask(user="e{n}"),
    ],
    "a refund of everything": [ask(CHECK, "q{n}", user="f{n}", cost=3), ask(REFUND), ask(user="f{n}", mode="peek")],
    "refunds of what is on no record": [ask(user="g{n}"), ask(REFUND), ask("checks/chk_0123456789abcdef/refund")],
    "refunds that are none": [
        ask(user="h{n}", refundable=True), ask(REFUND, amount=0), ask(REFUND, moon=1), ask("checks/nonsense/refund"),
    ],
    "a release": [
        ask(namespace="slots", user="i{n}"), ask(namespace="slots", user="i{n}"), ask(namespace="slots", user="i{n}"),
        ask(RELEASE), ask(namespace="slots", user="i{n}"), ask(RELEASE), ask(namespace="slots", user="i{n}"),
    ],
    "a release where nothing is held": [ask(user="j{n}", refundable=True), ask(RELEASE), ask("checks/x/release")],
    "a log": [ask(namespace="log", user="k{n}")] * 3,
    "blocked after strikes": [ask(namespace="strikes", user="l{n}")] * 5,
    "an exact override": [ask(user="vip", cost=7, mode="peek"), ask(user="vip", cost=8)],
    "overrides by prefix": [
        ask(user="pre-{n}", cost=2), ask(user="pre-{n}"), ask(user="pre-fix-{n}", cost=3, mode="peek"),
    ],
    "overrides by block": [
        ask(namespace="net", ip="203.0.113.{n}"), ask(namespace="net", ip="203.0.113.{n}"),
        ask(namespace="net", ip="::ffff:203.0.113.{n}"), ask(namespace="net", ip="2001:db8:1:{n}::1"),
        ask(namespace="net", ip="2001:db8:2:{n}::1"),
    ],
    "blocked, unlimited and expired overrides": [
        ask(user="bad"), ask(user="free", cost=99), ask(user="old", mode="peek"),
    ],
    "gates": [
        ask(namespace="gated", ip="198.51.100.7", user="root"), ask(namespace="gated", user="root", cost=50),
        ask(namespace="gated", user="m{n}"), ask(namespace="gated", user="m{n}"),
        ask(namespace="gated", user="root", rules=["gated"]),
    ],
    "limits that a check brings along": [ask(user="n{n}", limits=[INLINE]), ask(user="n{n}", limits=[INLINE])],
    "limits that the plan does not allow": [
        ask(user="o{n}", limits=[INLINE | {"key": ["ip"]}]),
        ask(user="o{n}", limits=[INLINE | {"key": ["user", "ip"]}]),
    ],
    "limits that cannot be": [
        ask(user="p{n}", limits=[INLINE | {"limit": 0}]), ask(limits=[INLINE]), ask(user="p{n}", limits=[INLINE] * 6),
        ask(user="p{n}", limits=[INLINE | {"key": ["moon"]}]), ask(user="p{n}", limits=[{"name": "x"}]),
    ],
    "windows of the calendar": [ask(namespace="calendar", user="q{n}")] * 3,
    "explanations": [
        ask(EXPLAIN, user="vip"), ask(EXPLAIN), ask(EXPLAIN, namespace="gated", ip="198.51.100.7", user="root"),
        ask(EXPLAIN, namespace="net", ip="2001:db8:1::1"), ask(EXPLAIN, user="r", limits=[INLINE], cost=9),
        ask(EXPLAIN, namespace="nowhere"), ask(EXPLAIN, rules=["gone"]), ask(EXPLAIN, moon=1),
    ],
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
        self.keyring.publisher.snapshot_publish(
            TenantSnapshot(
                RICH_TENANT, 1, RICH_RULES, overrides=RICH_OVERRIDES, namespaces=("empty",),
                inline_types=("global", "user"),
            )
        )  # fmt: skip
        self.rich_key = self.keyring.key(RICH_TENANT, scopes=("check", "refund"))
        self.keyring.publisher.snapshot_publish(TenantSnapshot(POOR_TENANT, 1, (), quota=Quota("2026-11-25T03Z", 2)))
        self.poor_key = self.keyring.key(POOR_TENANT)
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
    """The two ways to ask, each as (headers, raw body, path) -> (status, headers, body)."""
    settings.COUNTERS_URL = world.valkey.url
    settings.KEY_PEPPERS = [(pepper.version, pepper.secret.hex()) for pepper in (PEPPER, OLD_PEPPER)]
    settings.DOOR_WORKERS = 1
    settings.SPOOL_DIR = str(world.spool)
    judging.judge.cache_clear()

    def fast(headers, body, path="check"):
        answer = world.door.request("POST", f"/v1/{path}", body, headers)
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body

    def django(headers, body, path="check"):
        answer = client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)
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


@pytest.mark.parametrize("name", RICH_CASES)
def test_on_companions_and_every_kind_of_rule(world, doors, name):
    series = [Series(door, world.rich_key, number) for number, door in enumerate(doors, start=1)]
    for step in RICH_CASES[name]:
        ours, theirs = (one.ask(*step) for one in series)
        assert comparable(ours) == comparable(theirs), step


class Series:
    """The requests of a case through one door."""

    def __init__(self, door, key, number):
        self._door, self._key, self._number = door, key, number
        self._first = ""

    def ask(self, path, headers, body):
        given = {name: value.replace("{n}", str(self._number)) for name, value in headers.items()}
        answer = self._door(
            {"Authorization": f"Bearer {self._key}", **given},
            raw(body, self._number),
            path.replace("{first}", self._first),
        )
        self._first = self._first or json.loads(answer[2]).get("id", "")
        return answer


def test_what_one_door_recorded_the_other_repeats_and_gives_back(world, doors):
    fast, django = doors
    headers = {"Authorization": f"Bearer {world.rich_key}", "Idempotency-Key": "both"}
    body = json.dumps({"user": "both", "cost": 4}).encode()
    answers = [door(headers, body) for door in (fast, django, fast)]
    assert answers[0][2] == answers[1][2] == answers[2][2]
    check_id = json.loads(answers[0][2])["id"]
    given = [door({"Authorization": f"Bearer {world.rich_key}"}, b"", f"checks/{check_id}/refund")[2] for door in doors]
    assert given == [f'{{"id":"{check_id}","refunded":4}}'.encode()] * 2


def test_on_one_counter(world, doors):
    """Both count in the same place: what one door admits, the other has less of."""
    headers = {"Authorization": f"Bearer {world.key}"}
    body = json.dumps({"user": "shared"}).encode()
    statuses = [door(headers, body)[0] for door in doors * 2]
    assert statuses == [200, 200, 200, 429]


def test_on_a_plan_that_is_used_up(world, doors):
    answers = [door({"Authorization": f"Bearer {world.poor_key}"}, b"{}") for door in doors * 2]
    assert [status for status, _, _ in answers] == [200, 200, 402, 402]
    assert comparable(answers[2]) == comparable(answers[3])
    assert json.loads(answers[2][2])["code"] == "plan_quota_exhausted"


def test_a_refund_through_django_is_seen_by_the_door_that_holds_the_denial(world, doors):
    """The door refuses a full counter again without asking; whoever refunds waits until it no longer does."""
    fast, django = doors
    for _ in range(5):
        tenant = world.keyring.tenant(rule("one", limit=1, window_ms=86_400_000))
        headers = {"Authorization": f"Bearer {world.keyring.key(tenant, scopes=('check', 'refund'))}"}
        django(headers, b'{"mode": "peek"}')  # it has read the rules
        check_id = json.loads(fast(headers, b'{"refundable": true}')[2])["id"]
        assert {fast(headers, b"{}")[0] for _ in range(3)} == {429}
        assert django(headers, b"", f"checks/{check_id}/refund")[0] == 200
        assert fast(headers, b"{}")[0] == 200
