"""Notices are kept for 90 days, and with them goes what became of them."""

from datetime import datetime, timedelta

from apps.core.scope import TenantUnknown, tenant_scope
from apps.notifications.house.lanes import tenants_with_lanes
from apps.notifications.house.sms import sms_uses_forget
from apps.notifications.models import Notice

KEPT = timedelta(days=90)


def purge(*, now: datetime) -> int:
    """Tenant by tenant, each in its own transaction. Returns how many notices went.

    A quota's notice may go: its period is over by then, and a notice of a new period has another key.
    """
    sms_uses_forget(now=now)
    gone = 0
    after_id = 0
    while page := tenants_with_lanes(after_id=after_id):
        for tenant_id in page:
            try:
                with tenant_scope(tenant_id):
                    gone += Notice.objects.filter(tenant_id=tenant_id, created_at__lt=now - KEPT).delete()[0]
            except TenantUnknown:
                continue
        after_id = page[-1]
    return gone
