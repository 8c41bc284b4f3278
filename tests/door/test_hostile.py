"""Bodies sent by somebody who means harm, or by mistake: the right 4xx, the field named, and nothing else broken."""

import json

import pytest

from tests.door.rig import rule
from tests.door.test_400 import BROKEN_HEADS
from tests.door.test_431 import TOO_LARGE

WRONG = {"null": None, "true": True, "number": 7, "float": 1.5, "list": ["x"], "object": {"a": "b"}}
NAN = ["NaN", "Infinity", "-Infinity", "nan", "1e400", "-1e400"]
TEMPLATES = ['{"user": "%s"}', '{"attributes": {"%s": "x"}}', '{"attributes": {"x": "%s"}}', '{"%s": 1}']
SURROGATES = [r"\ud800", r"\udc00", r"\udfff\ud800", r"a\ud83d"]


def _no_json():
    yield from (
        b"",
        b" ",
        b"{",
        b"}",
        b"[]]",
        b"'{}'",
        b"{'ip': 1}",
        b'{"ip"}',
        b'{"ip":}',
        b"{,}",
        b'{"ip":"1.2.3.4",}',
    )
    yield from (
        b"nul",
        b"tru",
        b"01",
        b"+1",
        b"--1",
        b".5",
        b"{}{}",
        b"{} x",
        b"// c\n{}",
        b"\xef\xbb\xbf{}",
        b"<check/>",
    )
    yield from (b"ip=1.2.3.4", b"\x00", b"{\x00}", b'{"user":"\x00"}', b'{"user":"\n"}', b'{"user":"\\x41"}')
    yield from (b'{"user":"\xff"}', b'{"user":"\xc0\xaf"}', b'{"user":"\xed\xa0\x80"}', b'{"user":"\xf5\x80\x80\x80"}')
    yield from (
        b'{"user": "unended',
        b'{"user": "\\u12"}',
        b'{"user": "\\q"}',
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
    )
    yield from (b"[" * 5_000, b"[" * 5_000 + b"]" * 5_000, b'{"a":' * 2_500 + b"1" + b"}" * 2_500)


def _no_object():
    yield from (b"null", b"true", b"7", b"-0", b"1.5", b'"x"', b"[]", b"[{}]", b"[[[[]]]]")


def _wrong_types():
    for field in ("ip", "route", "user"):
        for name, value in WRONG.items():
            if name != "null":
                yield f"/{field}", {field: value}
    for field in ("namespace", "mode"):
        for value in WRONG.values():
            yield f"/{field}", {field: value}
    for name, value in WRONG.items():
        if name not in ("object", "null"):
            yield "/attributes", {"attributes": value}
        if name != "number":
            yield "/cost", {"cost": value}
        if name not in ("list", "null"):
            yield "/rules", {"rules": value}
        if name != "true":
            yield "/refundable", {"refundable": value}
        yield "/attributes/plan", {"attributes": {"plan": value}}
        yield "/rules/1", {"rules": ["ok", value]}


def _wrong_values():
    for cost in (0, -1, 2**31, 2**53, 2**63, 2**64, 10**30, -(2**31), 1.0, "1"):
        yield "/cost", {"cost": cost}
    for ip in (
        "",
        "x",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.4/8",
        "01.2.3.4",
        "::1%eth0",
        "1:2",
        ":::",
        "fe80::%1",
        "١.١.١.١",
        "1.2.3.4 ",
        "g::1",
    ):
        yield "/ip", {"ip": ip}
    for field in ("route", "user"):
        yield f"/{field}", {field: "a" * 257}
        yield f"/{field}", {field: "é" * 129}
        yield f"/{field}", {field: "𝄞" * 65}
    for mode in ("", "CONSUME", "consume ", "check", "peek\x00"):
        yield "/mode", {"mode": mode}
    for name in ("", "A", "a b", "a" * 65, "é", "../x", "a\n", "*"):
        yield "/namespace", {"namespace": name}
        yield "/rules/0", {"rules": [name]}
    yield "/attributes", {"attributes": {f"a{n}": "x" for n in range(17)}}
    yield "/attributes", {"attributes": {"": "x"}}
    yield "/attributes", {"attributes": {"a" * 65: "x"}}
    yield "/attributes/plan", {"attributes": {"plan": "a" * 257}}
    yield "/attributes/a~1b", {"attributes": {"a/b": "a" * 257}}


def _unknown_fields():
    for field in ("limit", "tenant", "IP", "cost ", "__proto__", "constructor", "", "a.b", "a/b", "$", "é", "x" * 200):
        yield field, {field: 1}


NOT_JSON = [*_no_json(), *[b'{"cost": %s}' % text.encode() for text in NAN]]
SHAPES = list(_no_object())
TYPES = list(_wrong_types())
VALUES = list(_wrong_values())
UNKNOWN = list(_unknown_fields())


def test_there_are_enough_of_them():
    surrogates = len(SURROGATES) * len(TEMPLATES)
    heads = len(BROKEN_HEADS) + len(TOO_LARGE)
    assert len(NOT_JSON) + len(SHAPES) + len(TYPES) + len(VALUES) + len(UNKNOWN) + surrogates + heads >= 200


@pytest.fixture(scope="module")
def victim(house):
    key = house.keyring.key(house.keyring.tenant(rule("ok", limit=100, window_ms=34_560_000_000)))

    def send(body: bytes):
        answer = house.door.request("POST", "/v1/check", body, {"Authorization": f"Bearer {key}"})
        healthy = house.door.check(key, mode="peek")
        assert healthy.json["remaining"] == 99, "a refused body was counted"
        return answer

    return send


def refused(answer):
    assert answer.status == 400, answer
    assert answer.json["code"] == "invalid_request"
    assert answer.headers["rl-decision"] == "none"
    return answer.json["errors"][0]["pointer"]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_not_json_is_refused(victim, body):
    assert refused(victim(body)) in ("", "/cost", "/a")


@pytest.mark.parametrize("body", SHAPES, ids=range(len(SHAPES)))
def test_what_is_no_object_is_refused(victim, body):
    assert refused(victim(body)) == ""


@pytest.mark.parametrize(("pointer", "members"), TYPES, ids=range(len(TYPES)))
def test_a_wrong_type_names_the_field(victim, pointer, members):
    assert refused(victim(json.dumps(members).encode())) == pointer


@pytest.mark.parametrize(("pointer", "members"), VALUES, ids=range(len(VALUES)))
def test_a_wrong_value_names_the_field(victim, pointer, members):
    assert refused(victim(json.dumps(members).encode())) == pointer


@pytest.mark.parametrize(("field", "members"), UNKNOWN, ids=range(len(UNKNOWN)))
def test_an_unknown_field_is_named(victim, field, members):
    pointer = refused(victim(json.dumps(members, ensure_ascii=False).encode()))
    assert pointer == "/" + field.replace("~", "~0").replace("/", "~1")


@pytest.mark.parametrize("text", SURROGATES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_lone_surrogates_are_refused(victim, text, template):
    assert victim((template % text).encode()).status == 400


def test_a_batch_refuses_its_bad_entries_only(house):
    key = house.keyring.key(house.keyring.tenant(rule("ok", limit=1_000)))
    entries = [members for _, members in VALUES[:40]]
    mixed = [entry for bad in entries for entry in (bad, {})]
    answer = house.door.check(key, path="/v1/check/batch", checks=mixed)
    assert answer.status == 200
    assert [result["status"] for result in answer.json["results"]] == [400, 200] * 40
