"""Keys that end soon are said 14, 3 and 1 days before, once each."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.apikeys.expiring import keys_expiring_tell
from apps.apikeys.models import ApiKey
from apps.apikeys.services import key_revoke, key_rotate
from apps.core.scope import tenant_scope
from apps.notifications.models import Notice
from apps.tenants.services import key_index_end
from tests.factories import key_make

DAY = timedelta(days=1)


@pytest.fixture
def now(db):
    return timezone.now()


def key_ending(alice, now, days=30):
    return key_make(alice.tenant_id, expires_at=now + days * DAY).key


def said(alice):
    with tenant_scope(alice.tenant_id):
        return [row.context["days_left"] for row in Notice.objects.order_by("id")]


def test_each_warning_is_said_once(alice, now):
    key_ending(alice, now)
    told = [keys_expiring_tell(now=now + days * DAY) for days in (0, 15, 16, 16.5, 20, 27, 28, 29, 29.9, 30)]
    assert told == [0, 0, 1, 0, 0, 1, 0, 1, 0, 0]
    assert said(alice) == [14, 3, 1]


def test_a_key_that_was_made_for_a_short_time_is_not_announced_at_once(alice, now):
    key_ending(alice, now, days=10)
    assert keys_expiring_tell(now=now + DAY) == 0
    assert keys_expiring_tell(now=now + 7 * DAY) == 1


def test_keys_that_were_rotated_or_revoked_are_not_announced(alice, now):
    rotated, revoked = key_ending(alice, now), key_ending(alice, now)
    with tenant_scope(alice.tenant_id):
        key_rotate(tenant_id=alice.tenant_id, key_id=rotated.id, overlap=DAY, now=now)
        key_revoke(tenant_id=alice.tenant_id, key_id=revoked.id, now=now)
        ApiKey.objects.filter(rotated_from_id=rotated.id).update(expires_at=None)
        for key in ApiKey.objects.filter(rotated_from_id=rotated.id):
            key_index_end(tenant_id=alice.tenant_id, key_id=key.id, expires_at=now + 365 * DAY)
    assert keys_expiring_tell(now=now + timedelta(hours=1)) == 0
    assert said(alice) == []
