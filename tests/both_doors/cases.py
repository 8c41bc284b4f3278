"""One table of cases for both doors. A case is a conversation: requests in order, on a tenant of its own."""

import json
from dataclasses import dataclass, field
from typing import Any

from ratelimiter.engine.rules import Algorithm, Match, RuleMode, RuleType
from tests.door.rig import rule

CHAT = {"route": "POST /v1/chat", "user": "u_42"}


@dataclass(frozen=True)
class Ask:
    body: Any = field(default_factory=dict)  # a dict is sent as JSON, bytes as they are
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    anonymous: bool = False

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Case:
    name: str
    asks: list[Ask]
    rules: tuple = ()
    live: bool = True
    scopes: tuple[str, ...] = ("check",)
    suspended: bool = False


def bad(name: str, body: Any) -> Case:
    return Case(f"refused: {name}", [Ask(body)])


def user_rule(**more):
    return rule("per-user", type=RuleType.USER, key=("user",), **{"limit": 2, **more})


CASES = [
    Case("no rule", [Ask(CHAT)]),
    Case("allowed, then denied", [Ask(CHAT)] * 4, (user_rule(),)),
    Case("two rules, the narrower binds", [Ask(CHAT)] * 3, (user_rule(), rule("all", limit=10))),
    Case("another user counts apart", [Ask(CHAT), Ask(CHAT), Ask(CHAT), Ask({**CHAT, "user": "b"})], (user_rule(),)),
    Case("fixed window", [Ask(CHAT)] * 3, (user_rule(algorithm=Algorithm.FIXED_WINDOW),)),
    Case("token bucket", [Ask(CHAT)] * 4, (user_rule(algorithm=Algorithm.TOKEN_BUCKET, burst=3),)),
    Case("cost", [Ask({**CHAT, "cost": 2}), Ask(CHAT), Ask({**CHAT, "cost": 3})], (user_rule(),)),
    Case("peek", [Ask({**CHAT, "mode": "peek"})] * 3 + [Ask(CHAT)], (user_rule(),)),
    Case("report", [Ask({**CHAT, "mode": "report", "cost": 9}), Ask(CHAT)], (user_rule(),)),
    Case("shadow", [Ask(CHAT)] * 3, (user_rule(mode=RuleMode.SHADOW), rule("all", limit=10))),
    Case("shadow alone", [Ask(CHAT)] * 3, (user_rule(mode=RuleMode.SHADOW),)),
    Case("a route that does not match", [Ask(CHAT)], (user_rule(match=Match(routes=("GET /v1/*",))),)),
    Case("a subset by name", [Ask({**CHAT, "rules": ["all"]})] * 2, (user_rule(), rule("all", limit=10))),
    Case("an unknown rule name", [Ask({**CHAT, "rules": ["nope"]})], (user_rule(),)),
    Case("a namespace", [Ask({**CHAT, "namespace": "other"})], (rule("there", namespace="other", limit=3),)),
    Case("an unknown namespace", [Ask({**CHAT, "namespace": "other"})]),
    Case("more than ten rules", [Ask(CHAT)], tuple(rule(f"r{n}", limit=9 + n) for n in range(12))),
    Case("an address", [Ask({"ip": "::ffff:192.0.2.1"})] * 2, (rule("ip", type=RuleType.IP, key=("ip",), limit=1),)),
    Case("a test key", [Ask(CHAT)] * 3, (user_rule(),), live=False),
    Case("no credential", [Ask(CHAT, anonymous=True)]),
    Case("garbage for a key", [Ask(CHAT, {"Authorization": "Bearer rl_live_nonsense"}, anonymous=True)]),
    Case("another scheme", [Ask(CHAT, {"Authorization": "Basic abc"}, anonymous=True)]),
    Case("two credentials", [Ask(CHAT, {"X-API-Key": "rl_live_x"})]),
    Case("a key without the scope", [Ask(CHAT)], scopes=("read",)),
    Case("a suspended tenant", [Ask(CHAT)], suspended=True),
    Case("idempotency", [Ask(CHAT, {"Idempotency-Key": "k1"})]),
    Case("another method", [Ask(b"", method="PUT")]),
    Case("duplicate keys, the last wins", [Ask(b'{"user":"a","user":"u_42"}')], (user_rule(),)),
    bad("no JSON", b"nonsense"),
    bad("empty", b""),
    bad("no object", b"[1]"),
    bad("NaN", b'{"cost": NaN}'),
    bad("zero", {"cost": 0}),
    bad("float", b'{"cost": 1.0}'),
    bad("text", {"cost": "1"}),
    bad("too big", {"cost": 2**31}),
    bad("unknown field", {"limit": 1}),
    bad("wrong type", {"user": 5}),
    bad("long user", {"user": "x" * 257}),
    bad("bad address", {"ip": "1.2.3"}),
    bad("lone surrogate", b'{"user": "\\ud800"}'),
    bad("no UTF-8", b'{"user": "\xff"}'),
    bad("many attributes", {"attributes": {f"a{n}": "" for n in range(17)}}),
    bad("deep", b"[" * 5_000),
    bad("a body over 16 KiB", {"user": "x" * 20_000}),
    bad("refundable", {"refundable": True}),
]
