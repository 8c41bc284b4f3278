"""What is older than 90 days goes, with what became of it; the rest stays."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.notifications.house.lanes import tenants_with_lanes
from apps.notifications.house.models import Lane, SmsUse
from apps.notifications.house.sms import sms_admit
from apps.notifications.models import Attempt, Channel, Delivery, Notice
from apps.notifications.purging import purge
from tests.factories import notice_make

pytestmark = pytest.mark.django_db


def test_old_notices_go_with_their_deliveries_and_attempts(alice, bob, run):
    for key in ("old", "new"):
        notice_make(alice.tenant_id, dedupe_key=key)
    notice_make(bob.tenant_id)
    run()
    now = timezone.now()
    with tenant_scope(alice.tenant_id):
        Notice.objects.filter(dedupe_key="old").update(created_at=now - timedelta(days=91))
    Lane.objects.create(channel_id=1, tenant_id=2**40, medium="email")  # of a tenant that is gone
    assert purge(now=now) == 1
    assert purge(now=now) == 0
    with tenant_scope(alice.tenant_id):
        assert [row.dedupe_key for row in Notice.objects.all()] == ["new"]
        assert [row.dedupe_key for row in Delivery.objects.all()] == ["new"]
        assert Attempt.objects.count() == 1
        assert Channel.objects.count() == 1
    with tenant_scope(bob.tenant_id):
        assert Notice.objects.count() == 1


def test_tenants_come_in_pages(alice, bob):
    for member in (alice, bob):
        notice_make(member.tenant_id)
    first, second = sorted((alice.tenant_id, bob.tenant_id))
    assert tenants_with_lanes(limit=1) == [first]
    assert tenants_with_lanes(after_id=first) == [second]


def test_counts_of_sms_go_after_a_week(db):
    now = timezone.now()
    assert sms_admit(tenant_id=1, number="+4915112345678", country="DE", now=now - timedelta(days=9)) == ""
    assert sms_admit(tenant_id=1, number="+4915112345678", country="DE", now=now) == ""
    assert SmsUse.objects.count() == 6
    purge(now=now)
    assert SmsUse.objects.count() == 3
