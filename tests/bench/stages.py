"""What each stage of a check costs inside the door: `python -m tests.bench.stages`. Microseconds of one thread, best of
several runs; what HTTP and system calls add is the difference to what the benchmark finds for the door.
"""

import time
from functools import partial

import msgspec

from ratelimiter.engine.interpret import interpret
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import encode, prepare, reply_decode
from ratelimiter.engine.quota import Quota
from ratelimiter.engine.rules import RuleType
from ratelimiter.engine.wire.decode import batch_decode, check_decode
from ratelimiter.engine.wire.render import batch_render, decision_render
from ratelimiter.events.schema import event_from
from ratelimiter.store.fallback import Fallback
from ratelimiter.store.leases import Leases
from ratelimiter.store.live import LiveCounts
from tests.bench.results import Stage
from tests.engine.rules import NOW_MS, rule

BODY = b'{"user": "u_42", "ip": "198.51.100.7", "route": "POST /v1/chat"}'
TOGETHER, BATCH = 32, 100  # checks in a call, in a batch
ROUNDS, REPEATS = 4_000, 7


def single_stages():
    """(name, function, checks per call) of a check of its own: 2 rules, a quota, a live key."""
    rules = [rule(1, 1_000_000, 60_000, type=RuleType.USER, key=("user",), name="user-day"), rule(2, 1_000_000, 60_000)]
    preparing, check = _preparing(rules)
    ready = preparing()
    reply = [NOW_MS, *[1, 0, 99, 60_000, 0, 0, 99, 60_000, 0] * TOGETHER]
    raw = msgspec.msgpack.encode(reply)
    decision = interpret(ready, reply, 1)
    fallback = Fallback(1)
    return [
        ("decode the body", lambda: check_decode(BODY), 1),
        ("match and prepare", preparing, 1),
        ("encode the call", lambda: encode([ready] * TOGETHER, not_after_ms=NOW_MS, at_ms=NOW_MS), TOGETHER),
        ("decode the reply", lambda: reply_decode(raw), TOGETHER),
        ("interpret", lambda: interpret(ready, reply, 1), 1),
        ("remember for an outage", lambda: fallback.observe(ready, decision), 1),
        *_answering(check, decision),
    ]


def leased_stages():
    """The same of a decision from a lease, in a batch of 100: one rule, a quota, a live key."""
    preparing, check = _preparing([rule(1, 1_000_000, 60_000, type=RuleType.USER, key=("user",), lease=1_000)])
    ready, leases = preparing(), Leases()
    first = interpret(ready, [NOW_MS, 1, 0, 99, 60_000, 0], 1)
    decision = leases.learn(ready, msgspec.structs.replace(first, leased=2**53), 0)
    body = b'{"checks":[' + b",".join([BODY] * BATCH) + b"]}"
    answers = [decision_render(decision)] * BATCH
    return [
        ("take the batch apart", lambda: batch_decode(body), BATCH),
        ("decode the body", lambda: check_decode(BODY), 1),
        ("match and prepare", preparing, 1),
        ("spend from the lease", lambda: leases.decide(ready, 1), 1),
        *_answering(check, decision),
        ("put the batch together", lambda: batch_render(answers), BATCH),
    ]


def _preparing(rules):
    rule_set, check = RuleSet(1, rules, quota=Quota("2026-11", 0)), check_decode(BODY)
    return partial(prepare, rule_set, check, live=True, now_ms=NOW_MS, check_id="chk_0123456789abcdef00000001"), check


def _answering(check, decision):
    eventing = partial(event_from, check, decision, 900, 1, 1, live=True)
    events, packer, live = [eventing()] * TOGETHER, msgspec.msgpack.Encoder(), LiveCounts()
    return [
        ("render", lambda: decision_render(decision), 1),
        ("make the event", eventing, 1),
        ("pack the event", lambda: packer.encode(events), TOGETHER),
        ("count for the portal", lambda: live.count(decision, 1, 1, live=True), 1),
    ]


def measured(stages):
    return [Stage(name, min(_elapsed_us(stage, checks) for _ in range(REPEATS))) for name, stage, checks in stages]


def main():
    for title, stages in (("a check of 2 rules", single_stages()), ("a decision from a lease", leased_stages())):
        print(title)
        found = measured(stages)
        for stage in [*found, Stage("together", sum(stage.us for stage in found))]:
            print(f"  {stage.name:<24} {stage.us:6.2f} µs")


def _elapsed_us(stage, checks):
    """Microseconds per check."""
    rounds = ROUNDS // checks
    begun = time.perf_counter_ns()
    for _ in range(rounds):
        stage()
    return (time.perf_counter_ns() - begun) / rounds / checks / 1_000


if __name__ == "__main__":
    main()
