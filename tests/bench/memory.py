"""What a live counter takes of Redis' memory: its key, its value, its end, and its place in Redis' tables."""

import time

from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import encode, prepare
from ratelimiter.engine.scripts import check_script
from tests.bench.contenders.door import Door
from tests.door.rig import Valkey

COUNTERS, A_CALL = 50_000, 50


def measure(valkey: Valkey) -> float:
    """Bytes, the mean of COUNTERS users' sliding windows."""
    valkey.client.flushall()
    sha = valkey.client.script_load(check_script().body)
    rule_set, now_ms = RuleSet(1, Door(rules=1).published()), int(time.time() * 1_000)
    before = valkey.client.info("memory")["used_memory"]
    for first in range(0, COUNTERS, A_CALL):
        batch = [
            prepare(rule_set, Check(user=f"user-{number}"), live=True, now_ms=now_ms, check_id=f"chk_{number:024x}")
            for number in range(first, first + A_CALL)
        ]
        call = encode(batch, at_ms=now_ms)
        valkey.client.evalsha(sha, len(call.keys), *call.keys, call.argument)
    held = valkey.client.dbsize()
    assert held == COUNTERS, f"{COUNTERS} users have {held} counters"
    return (valkey.client.info("memory")["used_memory"] - before) / held
