"""The check API's contract, without a server: what is refused and where it points, what an answer says."""

import msgspec
import pytest

from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import InvalidRequest, NotFound, TooLarge, Unauthenticated, Unavailable
from ratelimiter.engine.interpret import interpret
from ratelimiter.engine.wire.decode import batch_decode, check_decode
from ratelimiter.engine.wire.render import batch_render, decision_render, error_render
from tests.engine.rules import prepared, rule

REFUSED = [
    (b"", ""),
    (b"nonsense", ""),
    (b"[]", ""),
    (b"null", ""),
    (b"\xff", ""),
    (b'{"user":"\xff"}', ""),
    (b'{"user":"\\ud800"}', "/user"),
    (b'{"attributes":{"a":"\\udc00"}}', "/attributes/a"),
    (b"[" * 10_000, ""),
    (b'{"cost":NaN}', ""),
    (b'{"cost":1} {"cost":1}', ""),
    (b'{"cost":0}', "/cost"),
    (b'{"cost":-1}', "/cost"),
    (b'{"cost":1.0}', "/cost"),
    (b'{"cost":1e3}', "/cost"),
    (b'{"cost":true}', "/cost"),
    (b'{"cost":"1"}', "/cost"),
    (b'{"cost":2147483648}', "/cost"),
    (b'{"cost":99999999999999999999999}', "/cost"),
    (b'{"ip":"300.1.1.1"}', "/ip"),
    (b'{"ip":"fe80::1%eth0"}', "/ip"),
    (b'{"ip":7}', "/ip"),
    (b'{"user":["u"]}', "/user"),
    (b'{"user":"' + b"x" * 257 + b'"}', "/user"),
    ('{"route":"' + "ü" * 129 + '"}', "/route"),
    (b'{"attributes":[]}', "/attributes"),
    (b'{"attributes":{"":"x"}}', "/attributes"),
    (b'{"attributes":{"a/b":"' + b"x" * 257 + b'"}}', "/attributes/a~1b"),
    (b'{"attributes":{"n":"x","m":1}}', "/attributes/m"),
    (b'{"attributes":{"n":1}, oops', "/attributes"),
    (msgspec.json.encode({"attributes": {f"a{n}": "x" for n in range(17)}}), "/attributes"),
    (b'{"attributes":{"' + b"n" * 65 + b'":"x"}}', "/attributes"),
    (b'{"namespace":"No Such"}', "/namespace"),
    (b'{"mode":"maybe"}', "/mode"),
    (b'{"rules":"user-rpm"}', "/rules"),
    (b'{"rules":["ok","Not Ok"]}', "/rules/1"),
    (b'{"rules":[1]}', "/rules/0"),
    (b'{"limit":5}', "/limit"),
    (b'{"a~b":5}', "/a~0b"),
]


@pytest.mark.parametrize(("body", "pointer"), REFUSED, ids=lambda value: repr(value)[:40])
def test_a_bad_body_is_refused_and_the_field_is_named(body, pointer):
    with pytest.raises(InvalidRequest) as refused:
        check_decode(body if isinstance(body, bytes) else body.encode())
    assert refused.value.errors[0][0] == pointer
    assert refused.value.errors[0][1]


def test_a_body_over_16_kib_is_too_large():
    with pytest.raises(TooLarge):
        check_decode(b'{"user":"' + b"x" * 16_384 + b'"}')


def test_of_duplicate_keys_the_last_wins():
    assert check_decode(b'{"cost":1,"cost":2}').cost == 2


def test_an_empty_object_is_a_check():
    assert check_decode(b"{}") == Check()


def test_lengths_are_counted_in_bytes():
    assert check_decode(('{"user":"' + "ü" * 128 + '"}').encode()).user == "ü" * 128


@pytest.mark.parametrize("body", [b'{"checks":[]}', msgspec.json.encode({"checks": [{}] * 101}), b"{}", b'{"x":1}'])
def test_a_batch_holds_1_to_100_checks(body):
    with pytest.raises(InvalidRequest):
        batch_decode(body)


def decided(*rules, reply, **check):
    ready = prepared(*rules, **check)
    return interpret(ready, reply, 0)


def header(answer, name):
    return [value for key, value in answer.headers if key == name]


def test_an_allowed_answer_says_what_check_api_promises():
    decision = decided(rule(1, limit=100, window_ms=60_000, name="user-rpm"), reply=[1, 0, 41, 17_850, 0])
    answer = decision_render(decision)
    assert answer.status == 200
    assert msgspec.json.decode(answer.body) == {
        "id": "chk_00000001", "allowed": True, "reason": "ok", "degraded": False,
        "policy": "user-rpm", "limit": 100, "remaining": 41, "reset_ms": 17850, "retry_after_ms": 0,
        "results": [{
            "rule": "user-rpm", "allowed": True, "mode": "enforce", "limit": 100, "remaining": 41,
            "window_ms": 60000, "reset_ms": 17850, "retry_after_ms": 0,
        }],
    }  # fmt: skip
    assert header(answer, "RateLimit-Policy") == ['"user-rpm";q=100;w=60']
    assert header(answer, "RateLimit") == ['"user-rpm";r=41;t=18']
    assert header(answer, "RL-Decision") == ["allow"]
    assert header(answer, "Retry-After") == []


def test_a_denial_is_a_problem_with_the_decision_beside_it():
    decision = decided(rule(1, limit=5, name="burst"), reply=[0, 1, 0, 4_001, 4_001])
    answer = decision_render(decision)
    body = msgspec.json.decode(answer.body)
    assert (answer.status, answer.content_type) == (429, "application/problem+json")
    assert body["type"].endswith("#quota-exceeded")
    assert (body["status"], body["violated-policies"], body["policy"]) == (429, ["burst"], "burst")
    assert (body["allowed"], body["reason"], body["retry_after_ms"]) == (False, "limit_exceeded", 4_001)
    assert body["reset_ms"] == body["retry_after_ms"]
    assert header(answer, "Retry-After") == ["5"]
    assert int(header(answer, "Retry-After")[0]) >= int(header(answer, "RateLimit")[0].rpartition("t=")[2])
    assert header(answer, "RL-Decision") == ["deny"]


def test_a_denial_that_waiting_cannot_cure_has_no_retry_after():
    decision = decided(rule(1, limit=5), reply=[0, 2, 5, 1_000, -1], cost=6)
    answer = decision_render(decision)
    assert msgspec.json.decode(answer.body)["retry_after_ms"] is None
    assert header(answer, "Retry-After") == []


def test_without_a_rule_everything_passes_and_the_binding_members_are_null():
    answer = decision_render(decided(reply=[1]))
    body = msgspec.json.decode(answer.body)
    assert (answer.status, body["reason"], body["results"]) == (200, "no_rule", [])
    assert [body[name] for name in ("policy", "limit", "remaining", "reset_ms", "retry_after_ms")] == [None] * 5
    assert header(answer, "RateLimit") == []


def test_headers_name_the_three_rules_nearest_exhaustion_and_no_shadow():
    rules = [rule(n, limit=100, name=f"r{n}") for n in range(1, 5)] + [rule(5, limit=1, name="ghost", mode="shadow")]
    left = [50, 10, 90, 30, 0]
    decision = decided(*rules, reply=[1, *(part for n in left for part in (0, n, 1_000, 0))])
    named = header(decision_render(decision), "RateLimit")[0]
    assert [item.split(";")[0] for item in named.split(", ")] == ['"r2"', '"r4"', '"r1"']


def test_more_than_ten_matching_rules_are_said_to_be_truncated():
    decision = decided(*[rule(n) for n in range(1, 12)], reply=[1, *[0, 1, 1, 0] * 10])
    assert msgspec.json.decode(decision_render(decision).body)["truncated"] is True


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequest("bad", ("/cost", "must be 1")), 400, "invalid_request"),
        (Unauthenticated("who"), 401, "unauthenticated"),
        (NotFound("nothing"), 404, "not_found"),
        (Unavailable("later"), 503, "unavailable"),
    ],
)
def test_an_error_is_never_an_answer_about_the_end_user(error, status, code):
    answer = error_render(error)
    body = msgspec.json.decode(answer.body)
    assert (answer.status, body["status"], body["code"]) == (status, status, code)
    assert header(answer, "RL-Decision") == ["none"]


def test_a_batch_answers_200_and_each_entry_has_its_own_status():
    denied = decision_render(decided(rule(1, limit=5), reply=[0, 1, 0, 4_000, 4_000]))
    allowed = decision_render(decided(reply=[1]))
    answer = batch_render([allowed, denied, error_render(InvalidRequest("bad", ("/cost", "no")))])
    entries = msgspec.json.decode(answer.body)["results"]
    assert answer.status == 200
    assert [entry["status"] for entry in entries] == [200, 429, 400]
    assert entries[2]["errors"] == [{"pointer": "/cost", "message": "no"}]
