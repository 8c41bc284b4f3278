"""What a tenant should hear of its traffic without looking: degraded answers, and rules or callers denied too often.

Read from minute rollups with the metering role, once a minute; said again about the same thing after a cool-down at the
earliest. A repeated or killed evaluation says nothing twice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from apps.analytics.breakdowns import Offender, offenders
from apps.analytics.ingest.database import Connection
from apps.analytics.ranges import range_between
from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.notifications.kinds import LIMIT_VIOLATIONS, SERVICE_DEGRADED
from apps.notifications.services import is_cooling, notify_cooled
from apps.plans.selectors import entitlements_of

DEGRADED_WITHIN = timedelta(minutes=3)
DENIED_WITHIN = timedelta(minutes=10)
COOL_DOWN = timedelta(hours=1)


def alerts_evaluate(connection: Connection, *, now: datetime) -> int:
    """Returns how many notices were new."""
    return _degraded_tell(connection, now) + _violations_tell(connection, now)


def _degraded_tell(connection: Connection, now: datetime) -> int:
    rows = connection.execute(
        "SELECT tenant_id, sum(allowed + denied)::bigint, sum(degraded)::bigint FROM analytics.check_minute"
        " WHERE at > %s GROUP BY tenant_id HAVING sum(degraded) >= %s ORDER BY tenant_id",
        [now - DEGRADED_WITHIN, settings.ALERT_DEGRADED],
    ).fetchall()
    said = 0
    for tenant_id, checks, degraded in rows:
        context = {"checks": checks, "degraded": degraded, "minutes": _minutes(DEGRADED_WITHIN)}
        said += _say(tenant_id, SERVICE_DEGRADED, "store", context, now)
    return said


def _violations_tell(connection: Connection, now: datetime) -> int:
    rows = connection.execute(
        "SELECT tenant_id, rule_id, sum(denied)::bigint FROM analytics.rule_minute"
        " WHERE at > %s AND rule_id > 0 GROUP BY tenant_id, rule_id HAVING sum(denied) >= %s"
        " ORDER BY tenant_id, rule_id",
        [now - DENIED_WITHIN, min(settings.ALERT_RULE_DENIED, settings.ALERT_CALLER_DENIED)],
    ).fetchall()
    return sum(_violation_tell(tenant_id, rule_id, denied, now) for tenant_id, rule_id, denied in rows)


def _violation_tell(tenant_id: int, rule_id: int, denied: int, now: datetime) -> int:
    """Looks for the caller only while nothing was said of the rule lately, because that reads raw rows."""
    try:
        with tenant_scope(tenant_id):
            if is_cooling(
                tenant_id=tenant_id, kind=LIMIT_VIOLATIONS, subject=str(rule_id), cool_down=COOL_DOWN, now=now
            ):
                return 0
            name = next((rule.name for rule in rules_of(tenant_id) if rule.id == rule_id), f"#{rule_id}")
            worst = _worst(tenant_id, rule_id, now)
    except NotFound:
        return 0
    of_one = worst[0].denied if worst else 0
    if denied < settings.ALERT_RULE_DENIED and of_one < settings.ALERT_CALLER_DENIED:
        return 0
    context = {
        "rule": name, "rule_id": rule_id, "denied": denied, "minutes": _minutes(DENIED_WITHIN),
        "caller": worst[0].label[:100] if worst and of_one * 2 >= denied else "",
    }  # fmt: skip
    return _say(tenant_id, LIMIT_VIOLATIONS, str(rule_id), context, now)


def _worst(tenant_id: int, rule_id: int, now: datetime) -> Sequence[Offender]:
    days = entitlements_of(tenant_id).retention_days
    span = range_between(since=now - DENIED_WITHIN, until=now, zone=ZoneInfo("UTC"), retention_days=days, now=now)
    return offenders(span, rule_id=rule_id, limit=1)


def _say(tenant_id: int, kind: str, subject: str, context: dict[str, object], now: datetime) -> int:
    try:
        notice = notify_cooled(
            tenant_id=tenant_id, kind=kind, subject=subject, cool_down=COOL_DOWN, context=context, now=now
        )
    except NotFound:  # the tenant is gone
        return 0
    return int(notice is not None)


def _minutes(span: timedelta) -> int:
    return int(span / timedelta(minutes=1))
