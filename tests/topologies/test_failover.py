"""A master dies or hangs: its checks are degraded for a few seconds, nobody else notices, nothing is an error.

One that only hung comes back and still thinks itself the master; that fools nobody.
"""

import time

import pytest

from ratelimiter.store.slots import key_slot
from tests.door.rig import rule, wait_until
from tests.topologies.traffic import Traffic, assert_counted

OUTAGE_S = 6.0
LOST = {"the connection to Redis was lost"}

pytestmark = pytest.mark.slow


def tenants_of(keyring, count):
    """Key -> the slot of its tenant's counters."""
    tenants = [keyring.tenant(rule(limit=1_000_000)) for _ in range(count)]
    return {keyring.key(tenant): key_slot(f"{{{tenant}}}".encode()) for tenant in tenants}


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_after_a_masters_death_sentinels_name_another_and_checks_count_again(guarded, served, how):
    house = served(guarded)
    keys = tenants_of(house.keyring, 2)
    with Traffic(house.door, keys) as traffic:
        traffic.wait_for(30)
        house.settle()
        killed_at = time.monotonic()
        victim = guarded.owner(0)
        getattr(victim, how)()
        wait_until(
            lambda: all(answers[-1].at > killed_at and not answers[-1].counted for answers in traffic.seen.values())
        )
        wait_until(
            lambda: all(answers[-1].counted for answers in traffic.seen.values()), within_s=15, what="the failover"
        )
        outage = time.monotonic() - killed_at
        if how == "freeze":
            victim.thaw()
        traffic.wait_for(50)
    assert {seen.status for seen in traffic.answers} == {200}
    assert outage <= OUTAGE_S
    assert_counted(house.door, [seen for seen in traffic.answers if seen.at > killed_at + outage], expected=LOST)


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_the_death_of_one_of_a_clusters_masters_degrades_its_slots_only(cluster, served, how):
    house = served(cluster)
    keys = tenants_of(house.keyring, 12)
    victim = cluster.owner(next(iter(keys.values())))
    lost = set(cluster.slots_of(victim))
    with Traffic(house.door, keys, pause_s=0.01) as traffic:
        traffic.wait_for(20)
        house.settle()
        killed_at = time.monotonic()
        getattr(victim, how)()
        hit = [traffic.seen[key] for key, slot in keys.items() if slot in lost]
        wait_until(lambda: all(answers[-1].at > killed_at and not answers[-1].counted for answers in hit))
        wait_until(lambda: all(answers[-1].counted for answers in hit), within_s=15, what="the failover")
        outage = time.monotonic() - killed_at
        if how == "freeze":
            victim.thaw()
        traffic.wait_for(30)
    spared = [seen for key, slot in keys.items() if slot not in lost for seen in traffic.seen[key]]
    assert spared
    assert {seen.status for seen in traffic.answers} == {200}
    assert_counted(house.door, spared, expected=LOST)
    assert outage <= OUTAGE_S
    assert_counted(house.door, [seen for seen in traffic.answers if seen.at > killed_at + outage], expected=LOST)
