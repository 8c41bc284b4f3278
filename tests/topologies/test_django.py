"""The control plane on a cluster and behind sentinels: it publishes, shows numbers, and answers checks itself."""

import json

import pytest
from django.utils import timezone

from apps.core.counters import counters
from apps.limits import judge as judging
from apps.limits import publishing
from apps.limits.selectors import counts_today, live_doors
from ratelimiter.snapshot.publish import Publisher
from tests.factories import key_make, rule_make


@pytest.fixture
def moved(settings, tmp_path, either):
    """A process whose counters live there."""
    settings.COUNTERS_URL = either.url
    settings.SPOOL_DIR = str(tmp_path / "spool")
    counters.cache_clear()
    judging.judge.cache_clear()
    either.flush()
    yield either
    counters.cache_clear()
    judging.judge()._spool.close()
    judging.judge.cache_clear()


def test_the_control_plane_publishes_checks_and_counts(moved, alice, client):
    rule_make(alice.tenant_id, name="chat", limit=2)
    key = key_make(alice.tenant_id)
    swept = publishing.sweep(now=timezone.now())
    assert (swept.snapshots, swept.keys > 0) == (1, True)
    assert Publisher(counters()).keyring_is_complete()
    assert live_doors(alice.tenant_id).doors_total == 0
    answers = [
        client.post(
            "/api/v1/check", "{}", content_type="application/json", headers={"authorization": f"Bearer {key.secret}"}
        )
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert not any(json.loads(answer.content)["degraded"] for answer in answers)
    assert counts_today(tenant_id=alice.tenant_id, now=timezone.now()).checks == 3
    moved.flush()
    assert publishing.sweep(now=timezone.now()).snapshots == 1


@pytest.mark.parametrize("url_of_nothing", ["redis+sentinel://127.0.0.1:1/counters", "redis+cluster://127.0.0.1:1"])
def test_a_process_that_starts_without_its_store_answers_503_and_shows_zeros(
    settings, tmp_path, url_of_nothing, alice, client
):
    settings.COUNTERS_URL = url_of_nothing
    settings.SPOOL_DIR = str(tmp_path / "spool")
    counters.cache_clear()
    judging.judge.cache_clear()
    try:
        answer = client.post(
            "/api/v1/check", "{}", content_type="application/json", headers={"authorization": f"Bearer {alice.secret}"}
        )
        assert answer.status_code == 503
        assert counts_today(tenant_id=alice.tenant_id, now=timezone.now()).checks == 0
        assert live_doors(alice.tenant_id).doors_total == 0
    finally:
        judging.judge()._spool.close()
        counters.cache_clear()
        judging.judge.cache_clear()
