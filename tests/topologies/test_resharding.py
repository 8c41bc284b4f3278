"""Slots move to another master under load: every check is counted, once."""

import pytest

from ratelimiter.engine.rules import RuleType
from ratelimiter.store.slots import key_slot
from tests.door.rig import rule
from tests.topologies.parts import errors_of, slots_move_at_once, slots_move_one_by_one
from tests.topologies.traffic import Traffic, assert_counted

MOVED = 1_000
LIMIT = 1_000_000
STALLED = 25  # checks of one client that a stall of some 100 ms may meet

pytestmark = pytest.mark.slow


def tenants_in(keyring, slots, count):
    keys = []
    while len(keys) < count:
        tenant = keyring.tenant(rule("all", limit=LIMIT), rule("each", limit=LIMIT, type=RuleType.USER, key=("user",)))
        if key_slot(f"{{{tenant}}}".encode()) in slots:
            keys.append(keyring.key(tenant))
    return keys


@pytest.fixture
def loaded(cluster, served):
    """Runs `move(source, target, other, slots)` under load; gives the answers and what the store counted, per key."""

    def run(move):
        house = served(cluster)
        run.door = house.door
        source, target, other = cluster.masters
        slots = cluster.slots_of(source)[:MOVED]
        keys = tenants_in(house.keyring, set(slots), 6)
        with Traffic(house.door, keys, user=lambda number: f"u{number % 40}") as traffic:
            traffic.wait_for(20)
            move(source, target, other, slots)
            traffic.wait_for(50)
        run.torn = sum(errors_of(server, "TRYAGAIN") for server in (source, target))
        assert set(slots) <= set(cluster.slots_of(target))
        assert {seen.status for seen in traffic.answers} == {200}
        peeked = [house.door.check(key, mode="peek", rules=["all"]).json["remaining"] for key in keys]
        counted = [LIMIT - 1 - remaining for remaining in peeked]
        return [(answers, count) for answers, count in zip(traffic.seen.values(), counted, strict=True)]

    return run


def test_slots_that_wander_key_by_key_cost_no_check_its_place(loaded):
    def move(source, target, other, slots):
        slots_move_one_by_one(source, target, [other], slots)

    for answers, count in loaded(move):
        assert_counted(loaded.door, answers, torn=loaded.torn)
        degraded = sum(not seen.counted for seen in answers)
        assert 0 <= count - (len(answers) - degraded) <= degraded


def test_slots_that_move_at_once_stall_their_node_and_nothing_is_counted_twice(loaded):
    """The node that hands over pauses writes, now and then for longer than a check waits."""

    def move(source, target, other, slots):
        assert slots == list(range(slots[0], slots[0] + MOVED))
        slots_move_at_once(source, target, slots[0], slots[-1])

    for answers, count in loaded(move):
        degraded = sum(not seen.counted for seen in answers)
        assert degraded <= STALLED
        assert 0 <= count - (len(answers) - degraded) <= 1
