"""The decoder against everything that a body can be: a check within its bounds, or a refusal that can be sent.

Python's own JSON reader is the witness: what the decoder accepts, that must understand alike.
"""

import json
import os
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratelimiter.engine.addresses import address_parse
from ratelimiter.engine.errors import EngineError, InvalidRequest, TooLarge
from ratelimiter.engine.rules import MAX_UNITS
from ratelimiter.engine.wire.decode import (
    MAX_BATCH_BODY_BYTES,
    MAX_BODY_BYTES,
    NAME,
    amount_decode,
    batch_decode,
    check_decode,
)
from ratelimiter.engine.wire.render import error_render
from tests.proofs import bodies
from tests.proofs.rounds import rounds, timed, unhurried

BODIES = rounds(30_000)
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "300"))
MAX_ANSWER_BYTES = 16_384  # a character may take six bytes, and a name stands there twice
DEFAULTS = {"namespace": "default", "cost": 1, "mode": "consume", "attributes": {}, "refundable": False}
INLINE_DEFAULTS = {"key": [], "algorithm": "sliding_window", "burst": 0}


def tried(decode, body):
    """What came out; None for a refusal."""
    try:
        return timed(lambda: decode(body), lambda: body[:1_000])
    except EngineError as error:
        refusal_verify(error)
        return None


def refusal_verify(error):
    """It is an answer that a client can read, and not much longer than what it sent."""
    assert isinstance(error, InvalidRequest | TooLarge)
    answer = error_render(error)
    assert len(answer.body) <= MAX_ANSWER_BYTES
    problem = json.loads(answer.body)
    assert problem["status"] == (413 if isinstance(error, TooLarge) else 400)
    if isinstance(error, InvalidRequest):
        assert all(entry["pointer"] == "" or entry["pointer"][0] == "/" for entry in problem["errors"])
        assert problem["errors"][0]["message"]


def check_verify(body):
    check = tried(check_decode, body)
    if check is None:
        return False
    expected = json.loads(body.decode(), parse_constant=pytest.fail)
    for name in ("ip", "route", "user", "attributes", "namespace", "cost", "mode", "refundable"):
        assert getattr(check, name) == expected.pop(name, DEFAULTS.get(name)), name
    assert (check.rules and list(check.rules)) == (expected.pop("rules", None) or check.rules)
    assert [json.loads(msgspec.json.encode(limit)) for limit in check.limits] == [
        {name: value for name, value in limit.items() if INLINE_DEFAULTS.get(name) != value}
        for limit in expected.pop("limits", ())
    ]
    assert expected == {}, "an unknown field was accepted"
    assert type(check.cost) is int
    assert 1 <= check.cost <= MAX_UNITS
    texts = [check.ip, check.route, check.user, *check.attributes.values()]
    assert all(len(text.encode()) <= 256 for text in texts if text is not None)
    assert len(check.attributes) <= 16
    assert all(1 <= len(name.encode()) <= 64 for name in check.attributes)
    assert all(NAME.fullmatch(name) for name in (check.namespace, *(check.rules or ())))
    if check.ip is not None:
        address_parse(check.ip)
    return True


def amount_verify(body):
    amount = tried(amount_decode, body)
    if amount is None:
        return False
    assert json.loads(body.decode()) == {"amount": amount}
    assert 1 <= amount <= MAX_UNITS
    return True


def batch_verify(body):
    entries = tried(batch_decode, body)
    if entries is None:
        return False
    # Entries are only told apart here: what is wrong inside one is that entry's own refusal.
    expected = json.loads(body.decode(errors="surrogateescape"), parse_int=str)
    assert list(expected) == ["checks"]
    assert len(entries) == len(expected["checks"]) <= 100
    for entry in entries:
        check_verify(bytes(entry))
    return True


def test_fuzzed_bodies_are_checks_within_their_bounds_or_refused():
    accepted = {check_verify: 0, batch_verify: 0, amount_verify: 0}
    with unhurried():
        for seed in range(BODIES):
            body = bodies.body(random.Random(seed))
            try:
                for verify in accepted:
                    accepted[verify] += verify(body)
            except Exception as error:
                raise AssertionError(f"body {seed}: {body[:2_000]!r}") from error
    assert accepted[check_verify] > BODIES // 20, "hardly anything was accepted: nothing has been compared"
    assert accepted[batch_verify] > BODIES // 50
    assert accepted[amount_verify] > 0


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    edits=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 8), st.binary(max_size=4)), max_size=4),
)
def test_edited_bodies_are_checks_within_their_bounds_or_refused(seed, edits):
    body = bodies.check(random.Random(seed)).encode()
    for at, removed, put in edits:
        body = body[:at] + put + body[at + removed :]
    check_verify(body)
    batch_verify(b'{"checks":[' + body + b"]}")


@settings(max_examples=EXAMPLES, deadline=None)
@given(name=st.text(max_size=80))
def test_an_unknown_field_is_named_whatever_its_name(name):
    if name in msgspec.structs.asdict(check_decode(b"{}")):
        return
    with pytest.raises(InvalidRequest) as refused:
        check_decode(json.dumps({name: 1}).encode())
    assert refused.value.errors[0][0] == "/" + name.replace("~", "~0").replace("/", "~1")


@pytest.mark.parametrize("forged", ["x` - at `$.cost", "x - at `$.cost", "x - at `$.cost`\n"])
def test_what_a_caller_writes_cannot_point_at_another_field(forged):
    for body, pointer in (({forged: 1}, f"/{forged}"), ({"mode": forged}, "/mode"), ({"rules": forged}, "/rules")):
        with pytest.raises(InvalidRequest) as refused:
            check_decode(json.dumps(body).encode())
        assert refused.value.errors[0][0] == pointer


def filled(start, filling, end, size):
    return start + filling * ((size - len(start) - len(end)) // len(filling)) + end


LARGE = {
    "half a surrogate at the end": (b'{"checks":[', b"1,", b'"\\ud800"]}'),
    "half a surrogate behind objects": (b'{"checks":[', b"{},", b'"\\ud800"]}'),
    "no number at the end": (b'{"checks":[', b"1,", b"NaN]}"),
    "lists in lists": (b'{"checks":', b"[", b""),
    "objects in objects": (b'{"checks":[', b'{"a":', b""),
    "an unknown name": (b'{"', b"x", b'":1}'),
    "an unknown name like a path": (b'{"', b" - at `$.", b'":1}'),
    "an unknown name of escapes": (b'{"', b"\\u0001", b'":1}'),
    "a long mode": (b'{"mode":"', b"x", b'"}'),
    "a long number": (b'{"cost":', b"9", b"}"),
    "a long fraction": (b'{"cost":0.', b"9", b"}"),
    "long numbers": (b'{"checks":[', b"9" * 4_000 + b",", b'"\\ud800"]}'),
    "many attributes": (b'{"attributes":{', b'"a":"b",', b'"a":1}}'),
    "a long attribute name": (b'{"attributes":{"', b"~", b'":1}}'),
    "one field again and again": (b"{", b'"cost":1,', b'"cost":0}'),
    "spaces": (b"{", b" ", b""),
    "backslashes": (b'{"user":"', b"\\\\", b'"}'),
    "many checks": (b'{"checks":[', b"{},", b"{}]}"),
    "many limits": (b'{"limits":[', b'{"name":"a","limit":1,"window_ms":1000},', b"{}]}"),
    "many rules": (b'{"rules":[', b'"a",', b'"A"]}'),
}


@pytest.mark.parametrize("parts", LARGE.values(), ids=LARGE)
def test_bodies_of_the_largest_size_are_decided_in_a_moment(parts):
    with unhurried():
        assert tried(check_decode, filled(*parts, MAX_BODY_BYTES)) is None
        assert tried(amount_decode, filled(*parts, MAX_BODY_BYTES)) is None
        assert tried(batch_decode, filled(*parts, MAX_BATCH_BODY_BYTES)) is None
