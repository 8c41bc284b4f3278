"""No identifier reaches another one's counter, and none chooses the node that its counter lives on."""

import random
import string
from base64 import urlsafe_b64decode
from collections import Counter
from math import sqrt
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelimiter.engine import keys
from ratelimiter.engine.rules import Algorithm, RuleType
from tests.engine.rules import prepared, rule
from tests.proofs.rounds import rounds

TUPLES = rounds(50_000)
SLOTS = 16_384
TENANTS = 100_000

# What stands in keys and before digests, or looks as if it did.
ATOMS = [
    "", "a", "b", ":", "::", "{", "}", "{}", "{1}", "}{", "\x00", "\x00\x00\x00\x01", "\x00\x00\x00\x04live", "\x01",
    "live", "test", "user", "route", "ip", "global", "custom", "attributes.", "attributes.plan", "sliding_window",
    "fixed_window", "token_bucket", "10000", "1000", "0", "ratelimit:{1}:user:1:", "é", "e\u0301", "ﬁ", "fi", "K",
    "\u212a", "а", "a\u200b", "\ufeff", "İ", "i\u0307", "ß", "ss", "A", " ", "\n", "x" * 256, "x" * 255, "𝄞", "\ud7ff",
    "\ue000", "\uffff", "\U0010ffff", "*", "?", "[a]",
]  # fmt: skip
NAMES = ["user", "route", "ip", "attributes.plan", "attributes.", "attributes.user", "attributes.a", "attributes.a:b"]


class Identity(NamedTuple):
    """All that tells counters apart. `rule` is an id, or the name of a limit that came with the check."""

    tenant: int
    shard: int
    kind: RuleType
    rule: int | str
    namespace: str
    live: bool
    algorithm: Algorithm
    what: str
    window_ms: int
    names: tuple[str, ...]
    values: tuple[str, ...]


def identity(chance):
    """The text that names and values are cut from is small, so that the same letters stand on both sides of borders."""
    size = chance.randint(1, 4)
    names = tuple(chance.choices(NAMES, k=size))
    text = "".join(chance.choices(ATOMS, k=chance.randint(1, 4)))
    cuts = sorted(chance.randint(0, len(text)) for _ in range(size - 1))
    values = tuple(text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True))
    if chance.random() < 0.3:  # the border between a name and its value
        moved = chance.choice(["", "u", "us", "plan"])
        names = (f"attributes.{moved}", *names[1:])
        values = ("plan".removeprefix(moved) + values[0], *values[1:])
    inline = chance.random() < 0.2
    if inline:  # so few others that neighbours meet
        names, values = ("user",), ("u",)
    return Identity(
        tenant=chance.choice([1, 11, 111]),
        shard=-1 if inline else chance.choice([-1, 0, 1, 11]),
        kind=RuleType.USER if inline else chance.choice(list(RuleType)),
        rule=chance.choice(["inline", "a", "a-b", "1", "11"] if inline else [1, 11, 111]),
        namespace=chance.choice(["default", "inline", "a", "a-b", "1"]) if inline else "default",
        live=chance.random() < 0.5,
        algorithm=chance.choice(list(Algorithm)),
        what=chance.choice(["", "", "penalty"]),
        window_ms=chance.choice([1_000, 10_000, 100_000]),
        names=names,
        values=values,
    )


def key_of(who):
    fields = {"id": 0, "name": who.rule, "namespace": who.namespace} if isinstance(who.rule, str) else {"id": who.rule}
    counted = rule(**fields, window_ms=who.window_ms, type=who.kind, algorithm=who.algorithm, key=who.names)
    prefix = keys.counter_prefix(keys.tenant_tag(who.tenant, who.shard), counted)
    return prefix + keys.counter_digest(counted, who.values, live=who.live, what=who.what)


def told_apart(who):
    """A penalty is one whatever the rule's algorithm."""
    return who._replace(algorithm=None) if who.what else who


def crc16(data):
    """CRC-16/XMODEM, as the Redis Cluster specification has it."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def slot(key):
    """What is between the first { and the next }, if anything, else everything."""
    raw = key.encode()
    _, opened, rest = raw.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc16(tag if opened and closed and tag else raw) % SLOTS


def chi_square(counts, cells):
    expected = sum(counts.values()) / cells
    return sum((counts[cell] - expected) ** 2 / expected for cell in range(cells))


def assert_flat(counts, cells):
    """Chi-square at most six standard deviations above its mean: by chance about once in 10^7 times."""
    freedom = cells - 1
    assert chi_square(counts, cells) < freedom + 6 * sqrt(2 * freedom)


def test_the_slots_are_those_of_the_cluster_specification():
    assert crc16(b"123456789") == 0x31C3
    assert slot("{user1000}.following") == slot("{user1000}.followers") == slot("user1000")
    assert slot("foo{}{bar}") == crc16(b"foo{}{bar}") % SLOTS
    assert slot("foo{{bar}}zap") == slot("{bar")


def test_two_identities_never_share_a_key_and_every_key_lives_with_its_tenant():
    seen: dict[str, int] = {}
    for seed in range(TUPLES):
        who = identity(random.Random(seed))
        key = key_of(who)
        mark = hash(told_apart(who))
        assert seen.setdefault(key, mark) == mark, f"{who} has the key {key} of another identity"
        tag = keys.tenant_tag(who.tenant, who.shard)
        assert key.startswith(f"ratelimit:{tag}:{who.kind}:")
        assert len(key.rpartition(":")[2]) == 22
        if seed % 16 == 0:
            assert slot(key) == slot(tag)
    assert TUPLES // 2 < len(seen) < TUPLES, "hardly any identity was new, or none came twice"


@pytest.mark.parametrize("width", [0, 1, 2, 4, 8])
@pytest.mark.parametrize("values", [("", ""), ("u", "r"), ("x" * 100, "y" * 100)])
def test_a_value_that_spells_out_the_next_dimension_is_still_one_value(width, values):
    """As if lengths were written in so many bytes."""

    def part(text):
        return (len(text) if width else 0).to_bytes(width).decode() + text

    honest = identity(random.Random(0))._replace(names=("user", "route"), values=values)
    forged = values[0] + part("route") + part(values[1])
    assert key_of(honest) != key_of(honest._replace(names=("user",), values=(forged,)))


def key_met(counted, check, *, live):
    return prepared(counted, tenant=7, live=live, **check).keys[0].decode()


@given(
    one=st.dictionaries(st.sampled_from(["user", "route"]), st.text(max_size=60), min_size=2),
    other=st.dictionaries(st.sampled_from(["user", "route"]), st.text(max_size=60), min_size=2),
    lives=st.tuples(st.booleans(), st.booleans()),
)
def test_checks_share_a_counter_exactly_when_they_are_alike(one, other, lives):
    counted = rule(1, type=RuleType.CUSTOM, key=("user", "route"))
    found = [key_met(counted, check, live=live) for check, live in zip((one, other), lives, strict=True)]
    assert (found[0] == found[1]) == ((one, lives[0]) == (other, lives[1]))
    assert {slot(key) for key in found} == {slot("7")}


@pytest.mark.parametrize("tag", ["{9}", "}{9}", "{", "}", "{}", ":{9}:", "a{9}b"])
@pytest.mark.parametrize("field", ["user", "route", "plan"])
def test_braces_from_outside_choose_no_slot(field, tag):
    name = field if field != "plan" else "attributes.plan"
    check = {"attributes": {"plan": tag}} if field == "plan" else {field: tag}
    assert slot(key_met(rule(1, type=RuleType.CUSTOM, key=(name,)), check, live=True)) == slot("7")


def test_everything_that_is_counted_of_a_tenant_lives_in_its_slot():
    for tenant in (1, 42, 2**31, 2**63 - 1):
        for key in (keys.live_counts(tenant, "2026-01-31"), keys.key_last_used(tenant)):
            assert slot(key) == slot(str(tenant))
        for shard in (-1, 0, 7):
            tag = keys.tenant_tag(tenant, shard)
            records = [keys.replay_record(tag, b"{9}", live=True), keys.check_record(tag, "}{9}", live=False)]
            assert {slot(key) for key in (tag, keys.quota(tag, "2026-01"), *records)} == {slot(tag)}


def test_records_are_told_apart_by_caller_and_key_class():
    """What a caller sends as an Idempotency-Key or a check's id leads to no other record."""
    raw = ["a", "b", "test:a", "live:a", "{1}", "record:{1}:live:a", ":", ""]
    found = {
        maker(tag, text if maker is keys.check_record else text.encode(), live=live)
        for maker in (keys.check_record, keys.replay_record)
        for tag in ("{1}", "{11}", "{1.1}")
        for text in raw
        for live in (True, False)
    }
    assert len(found) == 2 * 3 * len(raw) * 2


def test_digests_are_flat_whatever_the_identifiers():
    """Counted users, one letter apart: every byte of the digests, on its own, is as good as drawn."""
    counted = rule(1, type=RuleType.USER, key=("user",))
    digests = [keys.counter_digest(counted, (f"user-{number}",), live=True) for number in range(50_000)]
    assert {len(digest) for digest in digests} == {22}
    assert set("".join(digests)) <= set(string.ascii_letters + string.digits + "-_")
    raw = [urlsafe_b64decode(digest + "==") for digest in digests]
    for position in range(keys.DIGEST_BYTES):
        assert_flat(Counter(digest[position] for digest in raw), 256)


@pytest.mark.parametrize("nodes", [3, 6, 16, 100])
def test_tenants_are_spread_evenly_over_the_nodes(nodes):
    """A node holds a range of slots."""
    assert_flat(Counter(slot(keys.tenant_tag(tenant)) * nodes // SLOTS for tenant in range(1, TENANTS + 1)), nodes)


def test_tenants_are_spread_over_all_slots():
    """A CRC over decimal digits is not quite as good as drawing: chi-square is 9 % above its mean, 15 bounds it."""
    counts = Counter(slot(keys.tenant_tag(tenant)) for tenant in range(1, TENANTS + 1))
    assert chi_square(counts, SLOTS) < 1.15 * (SLOTS - 1)
    assert len(counts) > 0.99 * SLOTS
    assert max(counts.values()) < 4 * TENANTS / SLOTS
