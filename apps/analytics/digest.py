"""The week in one mail, on Mondays: of every tenant that asked something in it. Said once a week and tenant."""

from datetime import datetime, timedelta

from apps.analytics.ingest.database import Connection
from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.notifications.kinds import USAGE_WEEKLY
from apps.notifications.services import notify

READY_HOUR = 8  # by then Sunday is settled; in UTC, as the week is
RULES = 3
WEEK = timedelta(days=7)


def digests_send(connection: Connection, *, now: datetime) -> int:
    """Of the week before the Monday that `now` is in; nothing on other days. Returns how many were new."""
    if now.weekday() != 0 or now.hour < READY_HOUR:
        return 0
    until = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = connection.execute(
        "SELECT tenant_id, sum(allowed + denied) FILTER (WHERE at >= %(since)s),"
        " sum(denied) FILTER (WHERE at >= %(since)s), sum(allowed + denied) FILTER (WHERE at < %(since)s)"
        " FROM analytics.check_day WHERE at >= %(before)s AND at < %(until)s GROUP BY tenant_id"
        " HAVING sum(allowed + denied) FILTER (WHERE at >= %(since)s) > 0 ORDER BY tenant_id",
        {"since": until - WEEK, "before": until - 2 * WEEK, "until": until},
    ).fetchall()
    return sum(
        _send(connection, tenant_id, int(checks), int(denied), int(before or 0), until)
        for tenant_id, checks, denied, before in rows
    )


def _send(connection: Connection, tenant_id: int, checks: int, denied: int, before: int, until: datetime) -> int:
    since, last = until - WEEK, until - timedelta(days=1)
    denials = connection.execute(
        "SELECT rule_id, sum(denied)::bigint FROM analytics.rule_day WHERE tenant_id = %s AND at >= %s AND at < %s"
        " GROUP BY rule_id HAVING sum(denied) > 0 ORDER BY 2 DESC, 1 LIMIT %s",
        [tenant_id, since, until, RULES],
    ).fetchall()
    try:
        with tenant_scope(tenant_id):
            names = {rule.id: rule.name for rule in rules_of(tenant_id)} | {0: "limits that came with the check"}
            notice = notify(
                tenant_id=tenant_id, kind=USAGE_WEEKLY, dedupe_key=f"{since:%G-W%V}",
                context={
                    "week": f"{since:%-d} {'' if since.month == last.month else f'{since:%B} '}to {last:%-d %B %Y}",
                    "checks": checks, "denied": denied, "before": before,
                    "rules": [[names.get(rule_id, f"#{rule_id}"), count] for rule_id, count in denials],
                },
            )  # fmt: skip
    except NotFound:  # the tenant is gone
        return 0
    return int(notice is not None)
