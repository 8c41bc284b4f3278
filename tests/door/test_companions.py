"""What stands beside the check: refunds, releases, repeats, explanations, quotas, limits of the caller's own."""

import json

import pytest

from ratelimiter.engine.quota import Quota
from ratelimiter.engine.rules import Action, Algorithm, Match, Override, RuleType
from ratelimiter.events.spool import spool_read
from ratelimiter.snapshot.model import overrides_encode
from tests.door.rig import rule, wait_until

ALL_SCOPES = ("check", "refund")


def events_of(door, check_id):
    return [event for _, group in spool_read(door.spool) for event in group.events if event.id == check_id]


def post(door, key, path, body=b"", **headers):
    return door.request("POST", path, body, {"Authorization": f"Bearer {key}", **headers})


class TestIdempotency:
    def test_a_repeat_is_answered_byte_for_byte_and_spooled_again_as_recorded(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(limit=10)))
        once = {"Idempotency-Key": "order-1"}
        first = door.check(key, headers=once, user="u1", cost=3)
        second = door.check(key, headers=once, user="u1", cost=3)
        assert (first.status, first.body) == (second.status, second.body)
        fields = ("ratelimit", "ratelimit-policy", "rl-decision")
        assert [first.headers[name] for name in fields] == [second.headers[name] for name in fields]
        assert door.check(key, mode="peek").json["remaining"] == 6
        original, repeat = events_of(door, first.json["id"])
        assert original.recorded
        assert repeat.recorded
        assert (original.at_ms, original.results) == (repeat.at_ms, repeat.results)

    def test_another_body_is_422(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(limit=10)))
        once = {"Idempotency-Key": "order-2"}
        door.check(key, headers=once)
        answer = door.check(key, headers=once, cost=2)
        assert (answer.status, answer.json["code"]) == (422, "idempotency_mismatch")
        assert answer.headers["rl-decision"] == "none"

    def test_each_entry_of_a_batch_is_known_by_its_place(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(limit=100)))
        body = json.dumps({"checks": [{"cost": 1}, {"cost": 2}, {"cost": 0}]}).encode()
        once = {"Idempotency-Key": "batch-1"}
        first = post(door, key, "/v1/check/batch", body, **once)
        assert first.body == post(door, key, "/v1/check/batch", body, **once).body
        assert [entry["status"] for entry in first.json["results"]] == [200, 200, 400]
        assert door.check(key, mode="peek").json["remaining"] == 96

    def test_many_repeats_at_once_are_one_check(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(limit=100)))
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(lambda _: door.check(key, headers={"Idempotency-Key": "x"}, cost=7).body, range(40))
            )
        assert len(set(answers)) == 1
        assert door.check(key, mode="peek").json["remaining"] == 92


class TestGiveBack:
    def test_refund(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(limit=10)), scopes=ALL_SCOPES)
        check = door.check(key, cost=6, refundable=True).json
        path = f"/v1/checks/{check['id']}/refund"
        for _ in range(2):
            answer = post(door, key, path, b'{"amount": 4}')
            assert (answer.status, answer.json) == (200, {"id": check["id"], "refunded": 4})
        assert door.check(key, mode="peek").json["remaining"] == 7
        assert post(door, key, path).json["refunded"] == 4

    @pytest.mark.parametrize("body", [b'{"amount": 0}', b'{"amount": 7}', b'{"amount": "1"}', b'{"more": 1}', b"{"])
    def test_a_refund_that_makes_no_sense(self, door, keyring, body):
        key = keyring.key(keyring.tenant(rule(limit=10)), scopes=ALL_SCOPES)
        check = door.check(key, cost=6, refundable=True).json
        answer = post(door, key, f"/v1/checks/{check['id']}/refund", body)
        assert (answer.status, answer.json["code"]) == (400, "invalid_request")
        assert door.check(key, mode="peek").json["remaining"] == 3

    def test_refunding_needs_its_scope_and_the_tenant_s_own_check(self, door, keyring):
        tenant, other = keyring.tenant(rule(limit=10)), keyring.tenant(rule(limit=10))
        check_id = door.check(keyring.key(tenant), refundable=True).json["id"]
        path = f"/v1/checks/{check_id}/refund"
        assert post(door, keyring.key(tenant), path).status == 403
        assert post(door, keyring.key(other, scopes=ALL_SCOPES), path).status == 404
        assert post(door, keyring.key(tenant, live=False, scopes=ALL_SCOPES), path).status == 404
        assert post(door, keyring.key(tenant, scopes=ALL_SCOPES), path).status == 200

    def test_slots_are_released(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(limit=2, algorithm=Algorithm.CONCURRENCY, window_ms=60_000)))
        first, _ = door.check(key).json, door.check(key)
        denied = door.check(key)
        assert (denied.status, denied.json["reason"], denied.json["retry_after_ms"]) == (
            429,
            "concurrency_exceeded",
            None,
        )
        assert "retry-after" not in denied.headers
        answer = post(door, key, f"/v1/checks/{first['id']}/release")
        assert (answer.status, answer.json) == (200, {"id": first["id"], "released": 1})
        assert door.check(key).status == 200
        assert door.check(key).status == 429

    def test_what_is_not_on_record_is_not_found(self, door, keyring):
        key = keyring.key(keyring.tenant(rule()), scopes=ALL_SCOPES)
        unrecorded = door.check(key).json["id"]
        for check_id in (unrecorded, "chk_" + "0" * 24, "x", "%7Bevil%7D", "chk_"):
            for what in ("refund", "release"):
                assert post(door, key, f"/v1/checks/{check_id}/{what}").status == 404
        assert door.request("GET", f"/v1/checks/{unrecorded}/refund").status == 405
        assert post(door, key, f"/v1/checks/{unrecorded}/reopen").status == 404


class TestQuota:
    def test_exhausted_is_402_and_no_answer_about_the_user(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(limit=10), quota=Quota("p", 2)))
        assert [door.check(key, cost=5).status for _ in range(3)] == [200, 200, 402]
        answer = door.check(key)
        assert (answer.json["code"], answer.headers["rl-decision"]) == ("plan_quota_exhausted", "none")
        assert door.check(key, mode="peek").status == 429
        batch = post(door, key, "/v1/check/batch", b'{"checks": [{}]}')
        assert (batch.status, batch.json["results"][0]["status"]) == (200, 402)

    def test_no_rule_counts_too(self, door, keyring):
        key = keyring.key(keyring.tenant(quota=Quota("p", 2)))
        assert [door.check(key).status for _ in range(3)] == [200, 200, 402]

    def test_no_event_is_made_of_it(self, door, keyring):
        key = keyring.key(keyring.tenant(quota=Quota("p", 1)))
        tenant_events = lambda: sum(len(group.events) for _, group in spool_read(door.spool))
        door.check(key)
        before = tenant_events()
        assert door.check(key).status == 402
        assert tenant_events() == before


class TestOverridesAndGates:
    def test_overrides_reach_the_door(self, door, keyring):
        counted = rule("per-user", limit=5, type=RuleType.USER, key=("user",))
        held = [Override(("vip-*",), 100), Override(("mallory",), 0), Override(("robot",), -1)]
        key = keyring.key(keyring.tenant(counted, overrides={counted.id: overrides_encode(held)}))
        assert door.check(key, user="alice").json["limit"] == 5
        assert door.check(key, user="vip-7").json["limit"] == 100
        blocked = door.check(key, user="mallory")
        assert (blocked.status, blocked.json["reason"], blocked.json["violated-policies"]) == (
            429,
            "blocked",
            ["per-user"],
        )
        assert blocked.headers["ratelimit"] == '"per-user";r=0;t=0'
        free = door.check(key, user="robot")
        assert (free.status, free.json["policy"]) == (200, "per-user")
        assert "ratelimit" not in free.headers

    def test_lists_stand_before_rules(self, door, keyring):
        office = rule("office", limit=0, action=Action.ALLOW, match=Match(ips=("203.0.113.0/24",)))
        banned = rule("banned", limit=0, action=Action.DENY, match=Match(users=("mallory",)))
        key = keyring.key(keyring.tenant(rule("all", limit=1), office, banned))
        assert [door.check(key, ip="203.0.113.1").status for _ in range(3)] == [200] * 3
        assert door.check(key, ip="203.0.113.1", user="mallory").json["policy"] == "banned"
        assert [door.check(key).status for _ in range(2)] == [200, 429]

    def test_a_limit_may_come_with_the_check(self, door, keyring):
        key = keyring.key(keyring.tenant(inline_types=("global", "user")))
        limit = {"name": "exports", "limit": 1, "window_ms": 60_000, "key": ["user"]}
        answers = [door.check(key, user="u", limits=[limit]) for _ in range(2)]
        assert [(a.status, a.json["policy"]) for a in answers] == [(200, "exports"), (429, "exports")]
        refused = door.check(key, ip="203.0.113.1", limits=[{**limit, "key": ["ip"]}])
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (400, "/limits/0/key")

    @pytest.mark.parametrize(
        ("field", "value", "pointer"),
        [
            ("limit", 0, "/limits/0/limit"), ("window_ms", 999, "/limits/0/window_ms"),
            ("window_ms", 1_500, "/limits/0/window_ms"), ("name", "A", "/limits/0/name"),
            ("burst", 5, "/limits/0/burst"),
            ("key", ["planet"], "/limits/0/key"), ("key", ["user", "user"], "/limits/0/key"),
            ("algorithm", "guess", "/limits/0/algorithm"), ("color", "red", "/limits/0/color"),
        ],
    )  # fmt: skip
    def test_such_a_limit_is_checked_like_a_rule(self, door, keyring, field, value, pointer):
        key = keyring.key(keyring.tenant(inline_types=("global", "user")))
        answer = door.check(key, user="u", limits=[{"name": "x", "limit": 1, "window_ms": 60_000, field: value}])
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (400, pointer)


def test_explain_says_what_would_happen_and_counts_nothing(door, keyring):
    key = keyring.key(
        keyring.tenant(rule("chat", limit=3, match=Match(routes=("POST /v1/chat",))), rule("all", limit=3))
    )
    before = sum(len(group.events) for _, group in spool_read(door.spool))
    answer = door.check(key, path="/v1/check/explain", route="GET /", cost=2)
    assert (answer.status, answer.headers["rl-decision"]) == (200, "none")
    assert (answer.json["decision"]["allowed"], answer.json["decision"]["remaining"]) == (True, 1)
    lines = {line["rule"]: line for line in answer.json["explanation"]["rules"]}
    assert (lines["chat"]["matches"], lines["all"]["matches"]) == (False, True)
    assert "route" in lines["chat"]["why"]
    assert door.check(key, mode="peek").json["remaining"] == 2
    assert sum(len(group.events) for _, group in spool_read(door.spool)) == before


class TestAuthz:
    RULES = (
        rule("per-ip", limit=2, type=RuleType.IP, key=("ip",)),
        rule("chat", limit=1, type=RuleType.USER, key=("user",), match=Match(routes=("POST /v1/chat",))),
    )

    def ask(self, door, key, method="GET", path="/v1/authz", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return door.request(method, path, None, {"X-API-Key": key, **named})

    def test_dimensions_come_from_headers(self, door, keyring):
        key = keyring.key(keyring.tenant(*self.RULES))
        ask = {"X_Forwarded_For": "198.51.100.9, 203.0.113.7", "X_Forwarded_Method": "POST"}
        ask |= {"X_Forwarded_Uri": "/v1/chat?stream=1", "X_RL_User": "u1"}
        first = self.ask(door, key, **ask)
        assert (first.status, first.headers["rl-decision"]) == (200, "allow")
        assert {r["rule"] for r in first.json["results"]} == {"per-ip", "chat"}
        assert self.ask(door, key, **ask).json["policy"] == "chat"
        other = self.ask(door, key, X_Forwarded_For="203.0.113.7")
        assert (other.json["policy"], other.json["remaining"]) == ("per-ip", 0)

    def test_the_end_user_s_own_credential_is_not_ours(self, door, keyring):
        key = keyring.key(keyring.tenant(*self.RULES))
        assert self.ask(door, key, Authorization="Bearer of-the-end-user").status == 200

    def test_only_the_hop_of_a_trusted_proxy_is_believed(self, door, keyring):
        key = keyring.key(keyring.tenant(*self.RULES))
        for number in range(3):
            answer = self.ask(door, key, X_Forwarded_For=f"10.0.0.{number}, 203.0.113.8")
        assert (answer.status, answer.json["policy"]) == (429, "per-ip")

    def test_nginx_wants_403(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(limit=1)))
        statuses = [self.ask(door, key, path="/v1/authz?deny=403").status for _ in range(2)]
        assert statuses == [200, 403]
        denied = self.ask(door, key, path="/v1/authz")
        assert (denied.status, denied.headers["rl-decision"]) == (429, "deny")

    def test_what_is_no_answer_about_the_user_lets_pass(self, door, keyring):
        key = keyring.key(keyring.tenant(rule(), quota=Quota("p", 1)))
        answers = [self.ask(door, key) for _ in range(2)]
        assert [(a.status, a.headers["rl-decision"]) for a in answers] == [(200, "allow"), (200, "none")]

    def test_envoy_appends_the_path(self, door, keyring):
        key = keyring.key(keyring.tenant(rule("chat", limit=5, match=Match(routes=("POST /v1/chat",)))))
        assert self.ask(door, key, "POST", "/v1/authz/v1/chat").json["policy"] == "chat"
        assert self.ask(door, key, "DELETE", "/v1/authz/v1/chat").json["policy"] is None

    @pytest.mark.parametrize(
        ("path", "headers"),
        [
            ("/v1/authz?cost=0", {}), ("/v1/authz?cost=x", {}), ("/v1/authz?moon=1", {}), ("/v1/authz?deny=500", {}),
            ("/v1/authz", {"X_Forwarded_For": "nonsense"}), ("/v1/authz", {"X_RL_User": "u" * 300}),
        ],
    )  # fmt: skip
    def test_a_gateway_s_mistakes_are_errors(self, door, keyring, path, headers):
        assert self.ask(door, keyring.key(keyring.tenant(rule())), path=path, **headers).status == 400

    def test_every_check_made_here_is_an_event(self, door, keyring):
        key = keyring.key(keyring.tenant(rule()))
        answer = self.ask(door, key, path="/v1/authz?cost=4", X_RL_User="u9")
        wait_until(lambda: events_of(door, answer.json["id"]))
        event = events_of(door, answer.json["id"])[0]
        assert (event.user, event.cost, event.mode) == ("u9", 4, "consume")
