"""A node that says MOVED, ASK or TRYAGAIN has run nothing: the check goes where it belongs, or is degraded in time."""

import pytest

from ratelimiter.engine.rules import RuleType
from ratelimiter.store.address import Node
from ratelimiter.store.slots import Redirection, key_slot, redirection_parse, slots_parse
from tests.door.rig import rule
from tests.topologies.parts import errors_of, node_id, slots_move_one_by_one

ASKED = Node("here", 1)


@pytest.mark.parametrize(
    "key", [b"k", b"{12}:a", b"a{12.3}b", b"{}x", b"a{}b{c}", b"{open", b"x}y{z}", b"{a{b}c}", b""]
)
def test_the_slot_of_a_key_is_the_servers(cluster, key):
    assert key_slot(key) == cluster.servers[0].client.cluster("KEYSLOT", key)


def test_redirections_are_read():
    assert redirection_parse("MOVED 3999 10.0.0.1:6381", ASKED) == Redirection(3999, Node("10.0.0.1", 6381), False)
    assert redirection_parse("ASK 1 fe80::1:6381", ASKED) == Redirection(1, Node("fe80::1", 6381), True)
    assert redirection_parse("MOVED 1 :6381", ASKED) == Redirection(1, Node("here", 6381), False)
    assert redirection_parse("ERR MOVED", ASKED) is None


def test_a_node_without_a_name_is_the_one_that_was_asked():
    reply = [[0, 5, [b"", 7, b"id"]], [6, 9, [None, 8, b"id", []], [b"r", 9, b"id"]], [10, 11, [b"n", 9, b"id"]]]
    assert list(slots_parse(reply, ASKED)) == [
        (0, 5, Node("here", 7)),
        (6, 9, Node("here", 8)),
        (10, 11, Node("n", 9)),
    ]


@pytest.fixture
def open_slot(cluster, served):
    """A tenant whose slot is open on both sides: `all` is counted at the source, a user's count is nowhere yet."""
    house = served(cluster)
    every = rule("all", limit=100)
    tenant = house.keyring.tenant(every, rule("each", limit=100, type=RuleType.USER, key=("user",)))
    house.key = house.keyring.key(tenant)
    assert house.door.check(house.key, rules=["all"]).json["remaining"] == 99
    house.slot = key_slot(f"{{{tenant}}}".encode())
    house.source = cluster.owner(house.slot)
    house.target, house.other = [server for server in cluster.masters if server is not house.source]
    house.target.client.execute_command("CLUSTER SETSLOT", house.slot, "IMPORTING", node_id(house.source))
    house.source.client.execute_command("CLUSTER SETSLOT", house.slot, "MIGRATING", node_id(house.target))
    house.close = lambda: slots_move_one_by_one(house.source, house.target, [house.other], [house.slot])
    yield house
    if cluster.owner(house.slot) is house.source:
        house.close()


def test_ask_is_followed_for_this_once(open_slot):
    counts = [open_slot.door.check(open_slot.key, rules=["each"], user="u").json["remaining"] for _ in range(3)]
    assert counts == [99, 98, 97]
    assert open_slot.target.client.cluster("COUNTKEYSINSLOT", open_slot.slot) == 1
    assert open_slot.door.check(open_slot.key, rules=["all"]).json["remaining"] == 98


def test_a_script_that_the_asked_node_forgot_is_sent_along(open_slot):
    open_slot.target.client.script_flush()
    answer = open_slot.door.check(open_slot.key, rules=["each"], user="u").json
    assert (answer["degraded"], answer["remaining"]) == (False, 99)


def test_a_check_whose_counters_are_on_both_sides_is_degraded_in_time_and_counts_nothing(open_slot):
    assert open_slot.door.check(open_slot.key, rules=["each"], user="u").json["degraded"] is False
    answer = open_slot.door.check(open_slot.key, user="u")
    assert (answer.status, answer.json["degraded"]) == (200, True)
    open_slot.close()
    remaining = {
        result["rule"]: result["remaining"] for result in open_slot.door.check(open_slot.key, user="u").json["results"]
    }
    assert remaining == {"all": 98, "each": 98}


def test_moved_is_followed_for_good(open_slot):
    open_slot.close()
    answers = [open_slot.door.check(open_slot.key, user="u").json for _ in range(3)]
    assert [answer["degraded"] for answer in answers] == [False] * 3
    assert [answer["results"][0]["remaining"] for answer in answers] == [98, 97, 96]
    moved = errors_of(open_slot.source, "MOVED")
    for _ in range(5):
        open_slot.door.check(open_slot.key, user="u")
    assert errors_of(open_slot.source, "MOVED") == moved
