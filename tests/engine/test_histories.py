"""Any history of one counter, on the real store, against the slow reference: checks, refunds, edits, losses, time."""

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    run_state_machine_as_test,
)
from hypothesis.stateful import rule as step

from ratelimiter.engine.interpret import GivenBack, interpret
from ratelimiter.engine.records import REFUND, RELEASE, give_back_from
from ratelimiter.engine.rules import MAX_LOGGED
from tests.engine import reference
from tests.engine.rules import prepared, rule

START_MS = 1_790_000_000_123
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "500"))
ALGORITHMS = [*sorted(reference.REFERENCES), "concurrency", "calendar"]


def build(algorithm, limit, window_ms, burst):
    if algorithm == "calendar":
        return rule(1, limit, 86_400_000, algorithm="fixed_window", calendar=reference.UTC_DAY)
    burst = min(burst, 1_000 * limit) if algorithm == "token_bucket" else 0
    return rule(1, limit, window_ms, algorithm=algorithm, burst=burst)


def model_of(counted, algorithm):
    return reference.MODELS[algorithm](counted.limit, counted.window_ms, counted.burst or counted.limit)


class History(RuleBasedStateMachine):
    """`algorithm` and `store` are set on a subclass. The limit may change, which keeps the count."""

    algorithm = store = None
    recorded = Bundle("recorded")

    @initialize(
        limit=st.integers(1, 40), burst=st.integers(1, 60),
        window_ms=st.sampled_from([1_000, 7_000, 60_000, 86_400_000, 90_000_000]),
    )  # fmt: skip
    def begin(self, limit, window_ms, burst):
        self.store.client.flushdb()
        self.now_ms = START_MS
        self.number = self.resets = 0
        self.counted = build(self.algorithm, limit, window_ms, burst)
        self.model = model_of(self.counted, self.algorithm)

    def check(self, **fields):
        self.number += 1
        ready = prepared(self.counted, check_id=f"chk_{self.number:08x}", **fields)
        reply, offsets = self.store.run([ready], now_ms=self.now_ms)
        return ready, interpret(ready, reply, offsets[0])

    @step(cost=st.integers(1, 45), mode=st.sampled_from(["consume", "consume", "consume", "peek", "report"]))
    def asks(self, cost, mode):
        self._compare(self.check(cost=cost, mode=mode)[1], cost, mode)

    @step(target=recorded, cost=st.integers(1, 20), mode=st.sampled_from(["consume", "report"]))
    def asks_refundably(self, cost, mode):
        ready, decision = self.check(cost=cost, mode=mode, refundable=True)
        charge = self._compare(decision, cost, mode)
        if charge is None:
            return multiple()
        return ready.extras.recording.check_key, cost, charge, self.resets

    @step(check=consumes(recorded), share=st.floats(0, 1))
    def gives_back(self, check, share):
        key, cost, charge, resets = check
        if resets != self.resets:
            return  # what it charged is gone
        amount = max(1, round(cost * share))
        what = RELEASE if self.algorithm == "concurrency" else REFUND
        if what == RELEASE:
            amount = cost
        for _ in range(2):  # the second time changes nothing
            entry = give_back_from(1, key, self.store.client.get(key), what, amount)
            reply, offsets = self.store.run([entry], now_ms=self.now_ms)
            assert interpret(entry, reply, offsets[0]) == GivenBack(amount)
        self.model.give_back(charge, amount)

    @step(step_ms=st.one_of(st.integers(0, 50), st.integers(0, 8_000), st.integers(0, 200_000_000)))
    def time_passes(self, step_ms):
        self.now_ms += step_ms

    @step(limit=st.integers(1, 60))
    def the_limit_changes(self, limit):
        self.counted = build(self.algorithm, min(limit, MAX_LOGGED), self.counted.window_ms, self.counted.burst)
        self.model.limit = self.counted.limit
        self.model.burst = self.counted.burst or self.counted.limit

    @step()
    def the_counter_is_reset(self):
        self.store.client.delete(prepared(self.counted).keys[0])
        self.model = model_of(self.counted, self.algorithm)
        self.resets += 1

    @step()
    def the_script_is_forgotten(self):
        self.store.client.script_flush()

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def peeking_agrees(self):
        _, decision = self.check(cost=1, mode="peek")
        self._compare(decision, 1, "peek")

    def _compare(self, decision, cost, mode):
        """Returns the model's charge, None when nothing was charged."""
        allowed, remaining, retry_ms, charge = reference.ask(self.model, self.now_ms, cost, mode)
        assert (decision.allowed, decision.remaining) == (allowed, remaining)
        assert (decision.retry_after_ms if not allowed else 0) == retry_ms
        return charge


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_any_history_agrees_with_the_reference(store, algorithm):
    machine = type(algorithm, (History,), {"algorithm": algorithm, "store": store})
    run_state_machine_as_test(machine, settings=settings(max_examples=EXAMPLES, deadline=None, stateful_step_count=15))
