"""What each stage of a check costs inside the door: `python -m tests.bench.stages`. Microseconds of one thread, best of
several runs; what HTTP and system calls add is the difference to tests.bench.door.
"""

import time
from functools import partial

import msgspec

from ratelimiter.engine.interpret import interpret
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import encode, prepare, reply_decode
from ratelimiter.engine.quota import Quota
from ratelimiter.engine.rules import RuleType
from ratelimiter.engine.wire.decode import check_decode
from ratelimiter.engine.wire.render import decision_render
from ratelimiter.events.schema import event_from
from ratelimiter.store.fallback import Fallback
from ratelimiter.store.live import LiveCounts
from tests.engine.rules import NOW_MS, rule

BODY = b'{"user": "u_42", "ip": "198.51.100.7", "route": "POST /v1/chat"}'
BATCH = 32
ROUNDS, REPEATS = 4_000, 7


def stages():
    """(name, function, checks per call)"""
    rules = [rule(1, 1_000_000, 60_000, type=RuleType.USER, key=("user",), name="user-day"), rule(2, 1_000_000, 60_000)]
    rule_set = RuleSet(1, rules, quota=Quota("2026-11", 0))
    check = check_decode(BODY)
    preparing = partial(prepare, rule_set, check, live=True, now_ms=NOW_MS, check_id="chk_0123456789abcdef00000001")
    ready = preparing()
    reply = [NOW_MS, *[1, 0, 99, 60_000, 0, 0, 99, 60_000, 0] * BATCH]
    raw = msgspec.msgpack.encode(reply)
    decision = interpret(ready, reply, 1)
    eventing = partial(event_from, check, decision, 900, 1, 1, live=True)
    events = [eventing()] * BATCH
    fallback, live = Fallback(1), LiveCounts()
    packer = msgspec.msgpack.Encoder()
    return [
        ("decode the body", lambda: check_decode(BODY), 1),
        ("match and prepare", preparing, 1),
        ("encode the call", lambda: encode([ready] * BATCH, not_after_ms=NOW_MS, at_ms=NOW_MS), BATCH),
        ("decode the reply", lambda: reply_decode(raw), BATCH),
        ("interpret", lambda: interpret(ready, reply, 1), 1),
        ("remember for an outage", lambda: fallback.observe(ready, decision), 1),
        ("render", lambda: decision_render(decision), 1),
        ("make the event", eventing, 1),
        ("pack the event", lambda: packer.encode(events), BATCH),
        ("count for the portal", lambda: live.count(decision, 1, 1, live=True), 1),
    ]


def main():
    total = 0.0
    for name, stage, checks in stages():
        best = min(_elapsed_us(stage) for _ in range(REPEATS)) / checks
        total += best
        print(f"{name:<24} {best:6.2f} µs")
    print(f"{'together':<24} {total:6.2f} µs a check (2 rules, a quota, a live key)")


def _elapsed_us(stage):
    begun = time.perf_counter_ns()
    for _ in range(ROUNDS):
        stage()
    return (time.perf_counter_ns() - begun) / ROUNDS / 1_000


if __name__ == "__main__":
    main()
