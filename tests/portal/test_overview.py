"""Am I through? Am I protected right now?"""

import re
from datetime import timedelta

import msgspec
import pytest
from django.utils import timezone

from apps.core.scope import _backend, tenant_scope
from apps.limits.publishing import snapshot_publish
from apps.limits.services import sharding_set
from apps.plans.selectors import quota_of
from apps.plans.services import plan_set
from apps.tenants.selectors import tenant_get
from apps.tenants.services import tenant_suspend
from ratelimiter.engine import keys as spelling
from ratelimiter.engine.clock import unix_ms
from ratelimiter.snapshot.watch import Heartbeat
from ratelimiter.store.quota import quota_raise
from tests.factories import key_make, rule_make

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def counted(counters, alice):
    def count(**fields):
        day = timezone.now().date().isoformat()
        counters.hset(spelling.live_counts(alice.tenant_id, day), mapping=fields)

    return count


@pytest.fixture
def used(counters, alice):
    """Sets what doors have counted of the plan's checks this period."""

    def use(checks):
        period = quota_of(alice.tenant_id, timezone.now()).period
        quota_raise(counters, spelling.quota(spelling.tenant_tag(alice.tenant_id), period.id), checks)

    return use


@pytest.fixture
def doors(counters, alice):
    """Doors that have applied everything up to now, `behind` of them nothing of it."""

    def report(total, behind=0):
        snapshot_publish(tenant_id=alice.tenant_id, now=timezone.now())
        epoch = counters.get(spelling.SNAPSHOT_EPOCH).decode()
        seq = int(counters.get(spelling.SNAPSHOT_SEQUENCE))
        for number in range(total):
            beat = Heartbeat(epoch=epoch, seq=0 if number < behind else seq, at=unix_ms(), pid=number, boot="b")
            counters.hset(spelling.DOORS, f"door-{number}", msgspec.msgpack.encode(beat))

    return report


def read(client, alice, page=""):
    return client.get(f"/t/{alice.slug}/{page}").content.decode()


def test_the_figures_are_todays_and_have_their_period(alices, alice, counted, used):
    counted(checks=88_312, allowed=87_108, denied=1_204, shadow_denied=7)
    used(4_000_000)
    page = read(alices, alice)
    assert '<span class="number" title="88,312">88.3 K</span>' in page
    assert "1,204" in page
    assert "1.4 %" in page
    assert "today, UTC" in page
    assert "and 7 in shadow" in page
    ends_at = quota_of(alice.tenant_id, timezone.now()).period.ends_at
    assert f"of 10,000,000 until {ends_at:%-d %B}" in page
    assert '<span class="number" title="6,000,000">6 M</span>' in page
    assert "<b>4,000,000</b> of 10,000,000 checks used, 40 %" in page


def test_it_refreshes_in_place_with_the_same_numbers(alices, alice, counted):
    counted(checks=3, allowed=3)
    fragment = alices.get(f"/t/{alice.slug}/", headers=FRAGMENT).content.decode()
    assert "<html" not in fragment
    assert "today, UTC" in fragment
    assert fragment.strip()[:80] in read(alices, alice)


def test_with_rules_and_doors_nothing_needs_attention(alices, alice, doors, rule):
    doors(2)
    page = read(alices, alice)
    assert "Nothing. 1 rule decides on every door." in page
    assert "Revision 3 live on 2/2 doors" in page


def test_without_a_door_it_says_so_first(alices, alice, rule):
    assert "No door is answering." in read(alices, alice)


def test_a_door_that_is_behind_is_counted_as_behind(alices, alice, doors, rule):
    doors(2, behind=1)
    assert "live on 1 of 2 doors" in read(alices, alice)
    assert "Revision 3 live on 1/2 doors" in read(alices, alice, "rules/live")


def test_no_rule_yet_offers_the_next_step(alices, alice, doors):
    doors(1)
    assert "There is no rule yet." in read(alices, alice)
    assert f'href="/t/{alice.slug}/rules/new"' in read(alices, alice)


@pytest.mark.parametrize(
    ("fields", "words"), [({"mode": "shadow"}, "Every rule is in shadow."), ({"enabled": False}, "Every rule is off.")]
)
def test_rules_that_deny_nothing_are_pointed_out(fields, words, alices, alice, doors):
    rule_make(alice.tenant_id, **fields)
    doors(1)
    assert words in read(alices, alice)


def test_degraded_answers_a_full_quota_and_a_suspension_are_pointed_out(alices, alice, counted, used, doors, rule):
    doors(1)
    plan_set(tenant_id=alice.tenant_id, code="free")
    counted(checks=90_000, allowed=90_000, degraded=12)
    used(80_000)
    tenant_suspend(tenant_id=alice.tenant_id, at=timezone.now())
    page = read(alices, alice)
    assert "12 checks were answered degraded today." in page
    assert "80,000 of 100,000 included checks are used this period." in page
    assert page.index("This organisation is suspended.") < page.index("12 checks were answered")


def test_checks_that_are_used_up_are_pointed_out_as_refused(alices, alice, used, doors, rule):
    doors(1)
    plan_set(tenant_id=alice.tenant_id, code="free")
    used(110_000)
    page = read(alices, alice)
    assert "The checks of this period are used up: 110,000." in page
    assert "answered 402" in page


def test_a_tenant_on_several_shards_sees_the_sum(alices, alice, counters):
    with tenant_scope(alice.tenant_id):
        sharding_set(tenant_id=alice.tenant_id, shards=3, dimension="user")
    period = quota_of(alice.tenant_id, timezone.now()).period
    for shard in range(3):
        quota_raise(counters, spelling.quota(spelling.tenant_tag(alice.tenant_id, shard), period.id), 100 + shard)
    assert "<b>303</b> of 10,000,000 checks used" in read(alices, alice)


def test_redis_is_never_asked_inside_the_tenants_scope(alices, alice, counters, monkeypatch):
    from apps.limits import selectors

    asked = []

    def counters_outside():
        asked.append(_backend().open_tenant_id)
        return counters

    monkeypatch.setattr(selectors, "counters", counters_outside)
    read(alices, alice)
    read(alices, alice, "plan")
    assert asked
    assert set(asked) == {None}


def test_a_key_that_ends_soon_is_pointed_out_until_it_is_replaced(alices, alice, doors, rule):
    from apps.apikeys.services import key_rotate

    doors(1)
    now = timezone.now()
    key = key_make(alice.tenant_id, expires_at=now + timedelta(days=3)).key
    assert "The key api ends in less than 7 days." in read(alices, alice)
    with tenant_scope(alice.tenant_id):
        key_rotate(tenant_id=alice.tenant_id, key_id=key.id, overlap=timedelta(days=2), now=now)
    ending = re.findall(r"The key api ends in less than 7 days\.", read(alices, alice))
    assert len(ending) == 1  # the successor, which inherits the end


def test_the_onboarding_page_waits_and_then_turns_green(alices, alice, counted):
    waiting = read(alices, alice, "onboarding")
    assert "Waiting for your first check" in waiting
    assert 'hx-trigger="every 1500ms, refresh"' in waiting
    counted(checks=1, allowed=1)
    light = alices.get(f"/t/{alice.slug}/onboarding", headers=FRAGMENT).content.decode()
    assert "Your first check arrived" in light
    assert "Write the first rule" in light
    assert "hx-get" not in light


def test_without_the_first_key_in_this_browser_the_onboarding_page_offers_a_new_one(alices, alice, counters):
    page = read(alices, alice, "onboarding")
    assert "Bearer $RATELIMITER_KEY" in page
    assert f'href="/t/{alice.slug}/keys/new"' in page


def test_when_redis_is_away_the_page_still_opens(alices, alice, monkeypatch):
    from redis import Redis

    from apps.limits import selectors

    away = Redis(port=1, socket_connect_timeout=0.1)
    monkeypatch.setattr(selectors, "counters", lambda: away)
    assert "No door is answering." in read(alices, alice)


def test_the_revision_is_the_tenants(alices, alice, doors):
    doors(1)
    assert f"Revision {tenant_get(alice.tenant_id).revision}" in read(alices, alice, "rules")
