"""What a million identifiers cost, and that they cost nothing any more once their windows are over."""

import itertools

import pytest

from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import encode, prepare, reply_decode
from ratelimiter.engine.rules import RuleType
from ratelimiter.engine.scripts import check_script
from tests.door.rig import Valkey, wait_until
from tests.engine.rules import CHECK_ID, NOW_MS, rule
from tests.proofs.rounds import rounds

IDENTIFIERS = rounds(100_000)
MAX_BYTES_PER_COUNTER = 150  # at 100,000 and at a million; up to 170 just after the hash table has grown
CHECKS_PER_CALL = 250
CALLS_PER_PIPELINE = 20
TENANT, RULE = 1_000_000, 10_000_000  # with as many digits as they will ever have


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    valkey = Valkey(tmp_path_factory.mktemp("memory"))
    yield valkey
    valkey.mortality_verify()
    valkey.stop()


def batches(items, size):
    source = iter(items)
    return iter(lambda: list(itertools.islice(source, size)), [])


def check_all(client, rules, users):
    """One admitted check of each user."""
    sha = client.script_load(check_script().body)
    calls = (
        encode([prepare(rules, Check(user=user), live=True, now_ms=NOW_MS, check_id=CHECK_ID) for user in part])
        for part in batches(users, CHECKS_PER_CALL)
    )
    for some in batches(calls, CALLS_PER_PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for call in some:
            pipeline.evalsha(sha, len(call.keys), *call.keys, call.argument)
        for call, raw in zip(some, pipeline.execute(), strict=True):
            reply = reply_decode(raw)
            assert all(reply[offset] == 1 for offset in call.offsets)


def used_bytes(client):
    return client.info("memory")["used_memory"]


def test_a_million_identifiers_take_little_and_leave_nothing(valkey):
    client = valkey.client
    client.script_load(check_script().body)
    size_before, bytes_before = client.dbsize(), used_bytes(client)
    for attempt, window_ms in enumerate((3_000, 12_000, 48_000)):
        counted = rule(RULE, limit=1_000_000, window_ms=window_ms, type=RuleType.CUSTOM, key=("user",))
        check_all(client, RuleSet(TENANT, [counted]), (f"{attempt}-user-{number}" for number in range(IDENTIFIERS)))
        alive, taken = client.dbsize() - size_before, used_bytes(client) - bytes_before
        if alive == IDENTIFIERS:
            break  # the first had not gone when the last came
        client.flushdb()
    assert alive == IDENTIFIERS
    assert taken / alive <= MAX_BYTES_PER_COUNTER
    sample = (key for key, _ in zip(client.scan_iter("ratelimit:*"), range(1_000), strict=False))
    assert all(0 < client.pttl(key) <= 2 * window_ms for key in sample)
    wait_until(
        lambda: client.dbsize() == size_before, within_s=2 * window_ms / 1_000 + 30, what="the end of all counters"
    )
