"""What the script keeps beside counters: answers to be replayed, charges to be given back, the plan's quota, blocks."""

import pytest

from ratelimiter.engine import keys
from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import IdempotencyMismatch, InvalidRequest, NotFound, QuotaExhausted
from ratelimiter.engine.interpret import GivenBack, interpret
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.quota import Quota
from ratelimiter.engine.records import REFUND, RELEASE, Idempotency, check_record_key, give_back_from
from ratelimiter.engine.rules import Escalation
from tests.engine.rules import NOW_MS, prepared, rule

ONCE = Idempotency(b"order-1", keys.fingerprint(b"{}"))


def run(store, *entries, now_ms=NOW_MS):
    reply, offsets = store.run(entries, now_ms=now_ms)
    outcomes = [interpret(entry, reply, offset) for entry, offset in zip(entries, offsets, strict=True)]
    return outcomes[0] if len(outcomes) == 1 else outcomes


def give_back(store, check_id, what=REFUND, amount=None, now_ms=NOW_MS):
    key = check_record_key(1, check_id, live=True)
    return run(store, give_back_from(1, key, store.client.get(key), what, amount), now_ms=now_ms)


def remaining(store, *rules, now_ms=NOW_MS):
    return [result.remaining for result in run(store, prepared(*rules, mode="peek"), now_ms=now_ms).results]


def used(store, *rules, now_ms=NOW_MS):
    """A peek shows what is left after its own cost."""
    return [r.limit - left - 1 for r, left in zip(rules, remaining(store, *rules, now_ms=now_ms), strict=True)]


class TestReplay:
    def test_a_repeat_is_the_same_answer_and_charges_nothing(self, store):
        counted, shadow = rule(1, limit=10), rule(2, limit=3, mode="shadow")
        first = run(store, prepared(counted, shadow, cost=4, check_id="chk_0000000a", idempotency=ONCE))
        assert first.recorded
        assert not first.replayed
        again = run(
            store, prepared(counted, shadow, cost=4, check_id="chk_0000000b", idempotency=ONCE), now_ms=NOW_MS + 5_000
        )
        assert again.replayed
        same = ("check_id", "at_ms", "allowed", "reason", "policy", "limit", "remaining", "reset_ms", "results")
        assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
        assert used(store, counted) == [4]

    def test_a_repeat_survives_the_end_of_its_rules(self, store):
        first = run(store, prepared(rule(1), rule(2), idempotency=ONCE))
        again = run(store, prepared(rule(9, name="another"), idempotency=ONCE))
        assert again.results == first.results

    def test_denials_are_replayed_too(self, store):
        counted = rule(1, limit=1)
        assert run(store, prepared(counted)).allowed
        denied = run(store, prepared(counted, idempotency=ONCE))
        assert not denied.allowed
        later = run(store, prepared(counted, idempotency=ONCE), now_ms=NOW_MS + 30_000)
        assert later.results == denied.results

    def test_another_request_under_the_same_key_is_a_mismatch(self, store):
        counted = rule(1)
        run(store, prepared(counted, idempotency=ONCE))
        other = Idempotency(ONCE.key, keys.fingerprint(b'{"cost":2}'))
        assert isinstance(run(store, prepared(counted, cost=2, idempotency=other)), IdempotencyMismatch)
        assert used(store, counted) == [1]

    def test_two_at_once_in_one_call_are_one(self, store):
        counted = rule(1)
        one, two = run(
            store, prepared(counted, check_id="chk_0000000a", idempotency=ONCE),
            prepared(counted, check_id="chk_0000000b", idempotency=ONCE),
        )  # fmt: skip
        assert (one.check_id, two.check_id, two.replayed) == ("chk_0000000a", "chk_0000000a", True)
        assert used(store, counted) == [1]

    def test_live_and_test_keys_do_not_meet(self, store):
        assert not run(store, prepared(rule(1), idempotency=ONCE)).replayed
        assert not run(store, prepared(rule(1), idempotency=ONCE, live=False)).replayed

    def test_peeks_ignore_it(self, store):
        run(store, prepared(rule(1), idempotency=ONCE))
        peeked = run(store, prepared(rule(1), mode="peek", idempotency=ONCE))
        assert not peeked.recorded

    def test_a_check_without_rules_is_kept_too(self, store):
        first = run(store, prepared(idempotency=ONCE))
        assert first.reason == "no_rule"
        assert run(store, prepared(rule(1), idempotency=ONCE)).replayed


class TestRefund:
    @pytest.mark.parametrize("algorithm", ["sliding_window", "fixed_window", "token_bucket", "sliding_log"])
    def test_it_gives_back_what_was_taken_once(self, store, algorithm):
        counted = rule(1, limit=10, algorithm=algorithm)
        run(store, prepared(counted, cost=6, refundable=True, check_id="chk_0000000a"))
        assert give_back(store, "chk_0000000a", amount=4) == GivenBack(4)
        assert give_back(store, "chk_0000000a", amount=6) == GivenBack(4)
        assert used(store, counted) == [2]

    def test_all_of_it_unless_told(self, store):
        counted = rule(1)
        run(store, prepared(counted, cost=6, refundable=True, check_id="chk_0000000a"))
        assert give_back(store, "chk_0000000a") == GivenBack(6)
        assert used(store, counted) == [0]

    def test_more_than_it_took_is_refused(self, store):
        run(store, prepared(rule(1), cost=6, refundable=True, check_id="chk_0000000a"))
        with pytest.raises(InvalidRequest):
            give_back(store, "chk_0000000a", amount=7)

    def test_the_cell_that_was_charged_gives_back_and_no_other(self, store):
        start_ms = NOW_MS // 10_000 * 10_000
        counted = rule(1, limit=10, algorithm="fixed_window")
        run(store, prepared(counted, cost=6, refundable=True, check_id="chk_0000000a"), now_ms=start_ms)
        run(store, prepared(counted, cost=2), now_ms=start_ms + 10_000)
        give_back(store, "chk_0000000a", now_ms=start_ms + 10_000)
        assert used(store, counted, now_ms=start_ms + 10_000) == [2]

    def test_only_recorded_checks_that_charged_can_be_refunded(self, store):
        counted = rule(1, limit=1)
        run(store, prepared(counted, check_id="chk_0000000a"))
        assert not run(store, prepared(counted, refundable=True, check_id="chk_0000000b")).allowed
        for check_id in ("chk_0000000a", "chk_0000000b", "chk_deadbeef", "nonsense", "chk_0000000a.7"):
            with pytest.raises(NotFound):
                give_back(store, check_id)

    def test_a_shadow_rule_that_was_not_charged_gives_nothing_back(self, store):
        enforced, shadow = rule(1, limit=10), rule(2, limit=1, mode="shadow")
        run(store, prepared(enforced, shadow))
        run(store, prepared(enforced, shadow, refundable=True, check_id="chk_0000000a"))
        give_back(store, "chk_0000000a")
        assert run(store, prepared(enforced, shadow, mode="peek")).results[1].remaining == 0

    def test_a_record_expires(self, store):
        ready = prepared(rule(1, window_ms=60_000), refundable=True, idempotency=ONCE)
        run(store, ready)
        slack_ms = 86_400_000  # the test's own clock lets keys live that much longer
        assert 0 < store.client.pttl(ready.extras.recording.check_key) - slack_ms <= 60_000
        assert 80_000_000 < store.client.pttl(ready.extras.recording.replay_key) - slack_ms <= 86_400_000


class TestSlots:
    def test_a_release_frees_the_check_s_slots_and_no_others(self, store):
        counted = rule(1, limit=3, algorithm="concurrency", window_ms=60_000)
        for check_id in ("chk_0000000a", "chk_0000000b"):
            assert run(store, prepared(counted, check_id=check_id)).allowed
        assert not run(store, prepared(counted, cost=2)).allowed
        assert give_back(store, "chk_0000000a", RELEASE) == GivenBack(1)
        assert give_back(store, "chk_0000000a", RELEASE) == GivenBack(1)
        assert used(store, counted) == [1]

    def test_a_slot_frees_itself_when_its_caller_died(self, store):
        counted = rule(1, limit=1, algorithm="concurrency", window_ms=5_000)
        run(store, prepared(counted))
        denied = run(store, prepared(counted), now_ms=NOW_MS + 4_999)
        assert (denied.allowed, denied.reason, denied.retry_after_ms) == (False, "concurrency_exceeded", None)
        assert run(store, prepared(counted), now_ms=NOW_MS + 5_000).allowed

    def test_release_is_for_slots_and_refund_for_counts(self, store):
        slots, counted = rule(1, limit=5, algorithm="concurrency"), rule(2, limit=5)
        run(store, prepared(slots, counted, check_id="chk_0000000a"))
        give_back(store, "chk_0000000a", RELEASE)
        assert used(store, slots, counted) == [0, 1]
        give_back(store, "chk_0000000a", REFUND)
        assert used(store, slots, counted) == [0, 0]
        run(store, prepared(counted, refundable=True, check_id="chk_0000000b"))
        with pytest.raises(NotFound):
            give_back(store, "chk_0000000b", RELEASE)

    def test_reports_beyond_any_bound_do_not_grow_the_counter_for_ever(self, store):
        counted = rule(1, limit=2, algorithm="concurrency")
        batch = [prepared(counted, mode="report", check_id=f"chk_{n:08x}") for n in range(3_000)]
        store.run(batch, now_ms=NOW_MS)
        assert store.client.strlen(batch[0].keys[0]) < 40_000
        assert remaining(store, counted) == [0]


def test_a_log_that_reports_flood_is_thinned_and_forgets_nothing_too_early(store):
    counted = rule(1, limit=1_000, window_ms=60_000, algorithm="sliding_log")
    for moment in range(2_600):
        store.run([prepared(counted, mode="report")], now_ms=NOW_MS + moment)
    size = store.client.strlen(prepared(counted).keys[0])
    assert size < 12 * 2_060
    # The last thousand are what a limit of a thousand sees: the first of them leaves a window after it came.
    full_ms = NOW_MS + 1_600 + 60_000
    assert not run(store, prepared(counted, mode="peek"), now_ms=full_ms - 1).allowed
    assert run(store, prepared(counted, mode="peek"), now_ms=full_ms).allowed


class TestQuota:
    def checks(self, quota, *rules, live=True, **check):
        rule_set = RuleSet(1, rules, quota=quota)
        return prepare(rule_set, Check(**check), live=live, now_ms=NOW_MS, check_id="chk_0000000a")

    def test_allowed_checks_count_whatever_their_cost_and_denied_ones_do_not(self, store):
        quota, counted = Quota("p1", 3), rule(1, limit=10)
        outcomes = [run(store, self.checks(quota, counted, cost=5)) for _ in range(3)]
        assert [outcome.allowed for outcome in outcomes] == [True, True, False]
        assert run(store, self.checks(quota)).allowed
        assert isinstance(run(store, self.checks(quota)), QuotaExhausted)

    def test_exhausted_is_said_before_any_rule_and_charges_nothing(self, store):
        quota, counted = Quota("p1", 1), rule(1, limit=10)
        run(store, self.checks(quota))
        assert isinstance(run(store, self.checks(quota, counted, cost=99)), QuotaExhausted)
        assert used(store, counted) == [0]

    def test_peeks_and_test_keys_are_free(self, store):
        quota = Quota("p1", 1)
        for _ in range(3):
            run(store, self.checks(quota, rule(1), mode="peek"))
            run(store, self.checks(quota, rule(1), live=False))
        assert run(store, self.checks(quota, mode="report")).allowed

    def test_a_new_period_begins_anew_and_no_cap_only_counts(self, store):
        run(store, self.checks(Quota("p1", 1)))
        assert run(store, self.checks(Quota("p2", 1))).allowed
        for _ in range(5):
            assert run(store, self.checks(Quota("p3", 0))).allowed

    def test_the_next_period_begins_by_itself(self, store):
        rule_set = RuleSet(1, [], quota=Quota("p1", 1, ends_at_ms=NOW_MS + 5, next_period="p2"))

        def check(now_ms):
            return run(store, prepare(rule_set, Check(), live=True, now_ms=now_ms, check_id="chk_0a"), now_ms=now_ms)

        assert check(NOW_MS).allowed
        assert isinstance(check(NOW_MS + 4), QuotaExhausted)
        assert check(NOW_MS + 5).allowed
        assert store.client.exists("quota:{1}:p2")

    def test_a_replay_is_counted_once(self, store):
        rule_set = RuleSet(1, [rule(1)], quota=Quota("p1", 2))
        for _ in range(4):
            outcome = run(
                store,
                prepare(rule_set, Check(), live=True, now_ms=NOW_MS, check_id="chk_0000000a", idempotency=ONCE),
            )
            assert outcome.allowed
        assert run(store, self.checks(Quota("p1", 2))).allowed


class TestEscalation:
    LIMITED = rule(1, limit=1, window_ms=1_000, escalation=Escalation(breaches=3, within_ms=10_000, block_ms=5_000))

    def breach(self, store, now_ms):
        run(store, prepared(self.LIMITED), now_ms=now_ms)
        for _ in range(3):
            assert run(store, prepared(self.LIMITED), now_ms=now_ms).reason == "limit_exceeded"

    def test_repeated_denials_block_and_the_block_ends(self, store):
        self.breach(store, NOW_MS)
        blocked = run(store, prepared(self.LIMITED), now_ms=NOW_MS + 4_999)
        assert (blocked.allowed, blocked.reason, blocked.retry_after_ms, blocked.reset_ms) == (
            False, "blocked", None, 1,
        )  # fmt: skip
        assert run(store, prepared(self.LIMITED), now_ms=NOW_MS + 5_000).allowed

    def test_denials_that_lie_apart_do_not_block(self, store):
        for number in range(6):
            now_ms = NOW_MS + number * 6_000
            run(store, prepared(self.LIMITED), now_ms=now_ms)
            assert run(store, prepared(self.LIMITED), now_ms=now_ms).reason == "limit_exceeded"
        assert run(store, prepared(self.LIMITED), now_ms=NOW_MS + 40_000).allowed

    def test_the_next_block_is_twice_as_long_unless_all_was_quiet(self, store):
        self.breach(store, NOW_MS)
        again_ms = NOW_MS + 6_000
        self.breach(store, again_ms)
        assert run(store, prepared(self.LIMITED), now_ms=again_ms + 9_999).reason == "blocked"
        quiet_ms = again_ms + 10_000 + 10_000
        self.breach(store, quiet_ms)
        assert run(store, prepared(self.LIMITED), now_ms=quiet_ms + 5_000).allowed

    def test_peeks_and_costs_that_never_fit_are_no_breaches(self, store):
        run(store, prepared(self.LIMITED))
        for _ in range(5):
            run(store, prepared(self.LIMITED, mode="peek"))
            run(store, prepared(self.LIMITED, cost=2))
        assert run(store, prepared(self.LIMITED), now_ms=NOW_MS + 2_000).allowed

    def test_a_block_stands_in_the_answer_beside_the_other_rules(self, store):
        self.breach(store, NOW_MS)
        other = rule(2, limit=5)
        decision = run(store, prepared(self.LIMITED, other))
        assert [(r.rule, r.allowed, r.remaining) for r in decision.results] == [
            ("rule-1", False, 0),
            ("rule-2", True, 5),
        ]
        assert decision.policy == "rule-1"
