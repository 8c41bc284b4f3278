"""Which checks share a script call, and whose turn it is."""

import asyncio

import msgspec
import pytest

from ratelimiter.engine.clock import StoreClock, monotonic_ms
from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import StoreFailed
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import prepare
from ratelimiter.store.coalescer import MAX_EVALUATIONS, MAX_WAIT_MS, Coalescer
from ratelimiter.store.fallback import Fallback
from tests.door.rig import Reader, check_bytes, rule, wait_until


class HeldLink:
    """A link whose replies the test gives."""

    def __init__(self):
        self.is_up = True
        self.clock = StoreClock()
        self.clock.observe(monotonic_ms(), sent_ms=monotonic_ms(), received_ms=monotonic_ms())
        self.calls = []

    def evaluate(self, keys, argument, callback, *, timeout_s, asking=False):
        self.calls.append((keys, callback))

    def drop(self, why):
        self.is_up = False


def checks_of(tenant, count, rules=1):
    rule_set = RuleSet(tenant, [rule(f"r{n}") for n in range(rules)])
    return [prepare(rule_set, Check(), live=True, now_ms=0, check_id="chk_00") for _ in range(count)]


@pytest.fixture
def flown():
    """Runs a scenario inside a loop with a held link; gives the coalescer, the link and the order of answers."""

    def run(scenario):
        async def main():
            link = HeldLink()
            coalescer = Coalescer(asyncio.get_running_loop(), link, Fallback(1))
            await scenario(coalescer, link)

        asyncio.run(main())

    return run


def sizes(link):
    return [len(keys) for keys, _ in link.calls]


def test_checks_of_one_turn_share_one_call_over_all_tenants(flown):
    async def scenario(coalescer, link):
        for tenant in range(10):
            for prepared in checks_of(tenant, 3):
                coalescer.submit(prepared, lambda decision: None)
        await asyncio.sleep(0)
        assert sizes(link) == [10]

    flown(scenario)


def test_two_calls_are_in_flight_at_most(flown):
    async def scenario(coalescer, link):
        for _ in range(5):
            coalescer.submit(checks_of(1, 1)[0], lambda decision: None)
            await asyncio.sleep(0)
        assert len(link.calls) == 2
        link.calls[0][1](StoreFailed("gone"))
        await asyncio.sleep(0)
        assert len(link.calls) == 3

    flown(scenario)


def test_no_call_holds_more_evaluations_than_allowed_and_tenants_take_turns(flown):
    async def scenario(coalescer, link):
        order = []
        for prepared in checks_of(1, 100, rules=10):
            coalescer.submit(prepared, lambda decision: order.append(1))
        for prepared in checks_of(2, 3, rules=2):
            coalescer.submit(prepared, lambda decision: order.append(2))
        await asyncio.sleep(0)
        assert sizes(link) == [12, 10]  # distinct counters: ten of tenant 1 and two of tenant 2, then tenant 1 alone
        for _, callback in list(link.calls):
            callback(StoreFailed("only to see who was in the call"))
        assert order[:6] == [1, 2, 1, 2, 1, 2]
        assert len(order) <= 2 * MAX_EVALUATIONS // 2

    flown(scenario)


def test_checks_of_a_tenant_keep_their_order_through_the_queue(flown):
    async def scenario(coalescer, link):
        order = []
        for number, prepared in enumerate(checks_of(1, 300)):
            coalescer.submit(prepared, lambda decision, number=number: order.append(number))
        await asyncio.sleep(0)
        for number, prepared in enumerate(checks_of(1, 100), start=300):
            coalescer.submit(prepared, lambda decision, number=number: order.append(number))
        while link.calls:
            _, callback = link.calls.pop(0)
            callback(StoreFailed("next"))
            coalescer._breaker.succeeded()
            await asyncio.sleep(0)
        assert order == list(range(400))

    flown(scenario)


def test_a_check_that_waited_too_long_is_degraded_not_kept(flown):
    async def scenario(coalescer, link):
        decisions = []
        for _ in range(2):
            coalescer.submit(checks_of(1, 1)[0], lambda decision: None)
            await asyncio.sleep(0)
        coalescer.submit(checks_of(2, 1)[0], decisions.append)
        await asyncio.sleep((MAX_WAIT_MS + 10) / 1_000)
        link.calls[0][1](StoreFailed("at last"))
        await asyncio.sleep(0)
        assert [decision.degraded for decision in decisions] == [True]
        assert len(link.calls) == 2

    flown(scenario)


def test_a_broken_link_degrades_everything_at_once(flown):
    async def scenario(coalescer, link):
        decisions = []
        for prepared in checks_of(1, 500):
            coalescer.submit(prepared, decisions.append)
        await asyncio.sleep(0)
        link.is_up = False
        for _, callback in list(link.calls):
            callback(StoreFailed("lost"))
        link.on_down()
        assert len(decisions) == 500
        assert all(decision.degraded and decision.allowed for decision in decisions)
        assert coalescer.is_idle or not coalescer._queued

    flown(scenario)


def test_an_open_breaker_lets_one_probe_through_and_closes_on_its_success(flown):
    async def scenario(coalescer, link):
        decisions = []
        coalescer.submit(checks_of(1, 1)[0], decisions.append)
        await asyncio.sleep(0)
        link.calls.pop()[1](StoreFailed("OOM"))
        coalescer.submit(checks_of(1, 1)[0], decisions.append)
        assert [decision.degraded for decision in decisions] == [True, True]
        await asyncio.sleep(0.06)
        for prepared in checks_of(1, 5):
            coalescer.submit(prepared, decisions.append)
        await asyncio.sleep(0)
        assert len(link.calls) == 1
        assert len(decisions) == 6

    flown(scenario)


def test_many_connections_at_once_share_calls(house):
    key = house.keyring.key(house.keyring.tenant(rule(limit=100_000)))
    house.door.check(key)

    def calls():
        return house.valkey.client.info("commandstats")["cmdstat_evalsha"]["calls"]

    before = calls()
    connections, answers = [house.door.connect() for _ in range(32)], []
    try:
        for connection in connections:
            connection.sendall(check_bytes(key) * 32)
        for connection in connections:
            reader = Reader(connection)
            answers += [reader.response() for _ in range(32)]
    finally:
        for connection in connections:
            connection.close()
    assert {answer.status for answer in answers} == {200}
    counted = sum(not answer.json["degraded"] for answer in answers)  # a machine that is too busy degrades some
    wait_until(lambda: house.door.check(key, mode="peek").json["remaining"] == 100_000 - 1 - counted - 1)
    assert calls() - before < 300


def test_a_clock_that_was_set_costs_a_second_call_and_no_check(flown):
    """The store says “too late” well within the call's time: nothing has run, so it may be asked again."""

    async def scenario(coalescer, link):
        decisions = []
        coalescer.submit(checks_of(1, 1)[0], decisions.append)
        await asyncio.sleep(0)
        store_ms = monotonic_ms() + 3_600_000
        link.calls[0][1](msgspec.msgpack.encode([store_ms]))
        assert len(link.calls) == 2
        assert abs(link.clock.at(monotonic_ms()) - store_ms) < 1_000
        link.calls[1][1](msgspec.msgpack.encode([store_ms, 1, 0, 9, 60_000, 0]))
        assert [(decision.degraded, decision.at_ms) for decision in decisions] == [(False, store_ms)]
        assert coalescer.is_idle

    flown(scenario)


def test_a_call_that_was_late_indeed_is_not_repeated(flown):
    async def scenario(coalescer, link):
        decisions = []
        coalescer.submit(checks_of(1, 1)[0], decisions.append)
        await asyncio.sleep(0.06)
        link.calls[0][1](msgspec.msgpack.encode([monotonic_ms()]))
        assert len(link.calls) == 1
        assert [decision.degraded for decision in decisions] == [True]

    flown(scenario)


def test_a_reply_that_makes_no_sense_degrades(flown):
    async def scenario(coalescer, link):
        decisions = []
        coalescer.submit(checks_of(1, 1)[0], decisions.append)
        await asyncio.sleep(0)
        link.calls[0][1](b"\xc1")
        assert [decision.degraded for decision in decisions] == [True]

    flown(scenario)
