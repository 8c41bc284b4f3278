"""Keys that end soon: said 14, 3 and 1 days before, once each. A key that was rotated ends as was wanted."""

import math
from datetime import datetime, timedelta

from apps.apikeys.models import ApiKey
from apps.apikeys.selectors import key_info
from apps.core.scope import TenantUnknown, tenant_scope
from apps.notifications.kinds import KEY_EXPIRING
from apps.notifications.services import notify
from apps.tenants.selectors import KeyEntry, keys_ending

DAYS = (1, 3, 14)


def keys_expiring_tell(*, now: datetime) -> int:
    """Returns how many notices were new."""
    entries = keys_ending(after=now, before=now + timedelta(days=max(DAYS)))
    return sum(_tell(entry, now) for entry in entries)


def _tell(entry: KeyEntry, now: datetime) -> int:
    ends_at = entry.expires_at
    assert ends_at is not None
    try:
        with tenant_scope(entry.tenant_id):
            row = ApiKey.objects.filter(tenant_id=entry.tenant_id, id=entry.key_id).first()
            is_replaced = ApiKey.objects.filter(tenant_id=entry.tenant_id, rotated_from_id=entry.key_id).exists()
            if row is None or is_replaced:
                return 0
            days = next(days for days in DAYS if ends_at <= now + timedelta(days=days))
            if ends_at - row.created_at <= timedelta(days=days):
                return 0  # it was made to last no longer
            notice = notify(
                tenant_id=entry.tenant_id, kind=KEY_EXPIRING, dedupe_key=f"{row.id}:{ends_at:%Y-%m-%d}:{days}",
                context={
                    "name": row.name, "masked": key_info(row).masked, "key_id": row.id,
                    "ends_on": f"{ends_at:%-d %B %Y}", "days_left": math.ceil((ends_at - now) / timedelta(days=1)),
                },
            )  # fmt: skip
    except TenantUnknown:
        return 0
    return int(notice is not None)
