"""Reading rules inside their tenant's scope, and the live numbers that doors write. What leaves this room is frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import structlog
from redis import RedisError

from apps.core.counters import counters
from apps.core.errors import NotFound
from apps.limits.models import Rule
from apps.tenants.selectors import tenant_get
from ratelimiter.engine import keys
from ratelimiter.engine.clock import unix_ms
from ratelimiter.snapshot.watch import heartbeat_decode
from ratelimiter.store.live import HashReader, LiveTotals, live_totals

DOOR_ALIVE_MS = 5_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """See ratelimiter.engine.rules for the meaning of the fields."""

    id: int
    name: str
    namespace: str
    type: str
    match: Mapping[str, Any]
    key: tuple[str, ...]
    algorithm: str
    limit: int
    window_ms: int
    burst: int
    mode: str
    on_failure: str
    priority: int
    enabled: bool
    ipv6_prefix: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_shadow(self) -> bool:
        return self.mode == "shadow"


@dataclass(frozen=True, slots=True)
class LiveDoors:
    """On how many of the doors that are alive the tenant's latest revision decides."""

    revision: int
    doors_live: int
    doors_total: int

    @property
    def everywhere(self) -> bool:
        return 0 < self.doors_total == self.doors_live


def rules_of(tenant_id: int) -> list[RuleInfo]:
    """In the order of evaluation within a namespace: higher priority first, then older."""
    rows = Rule.objects.filter(tenant_id=tenant_id).order_by("namespace", "-priority", "id")
    return [rule_info(row) for row in rows]


def rule_get(*, tenant_id: int, rule_id: int) -> RuleInfo:
    """Raises NotFound, also for another tenant's rule."""
    row = Rule.objects.filter(tenant_id=tenant_id, id=rule_id).first()
    if row is None:
        raise NotFound(f"there is no rule {rule_id}")
    return rule_info(row)


def rule_info(row: Rule) -> RuleInfo:
    return RuleInfo(
        row.id, row.name, row.namespace, row.type, row.match, tuple(row.key), row.algorithm, row.limit, row.window_ms,
        row.burst, row.mode, row.on_failure, row.priority, row.enabled, row.ipv6_prefix, row.created_at,
        row.updated_at,
    )  # fmt: skip


def live_doors(tenant_id: int) -> LiveDoors:
    """Needs no scope. Redis away counts as no door."""
    revision = tenant_get(tenant_id).revision
    try:
        pipeline = counters().pipeline(transaction=False)
        pipeline.hgetall(keys.DOORS)
        pipeline.get(keys.SNAPSHOT_EPOCH)
        pipeline.hget(keys.SNAPSHOT_REVISIONS, str(tenant_id))
        doors, epoch, mark = pipeline.execute()
    except RedisError as error:
        log.warning("doors_unknown", reason=str(error))
        return LiveDoors(revision, 0, 0)
    now_ms = unix_ms()
    beats = [heartbeat_decode(raw) for raw in doors.values()]
    alive = [beat for beat in beats if beat is not None and now_ms - beat.at < DOOR_ALIVE_MS]
    held, seq = (int(part) for part in (mark or b"-1:0").split(b":"))
    if held < revision:
        return LiveDoors(revision, 0, len(alive))
    live = sum(1 for beat in alive if epoch is not None and beat.epoch == epoch.decode() and beat.seq >= seq)
    return LiveDoors(revision, live, len(alive))


def counts_today(*, tenant_id: int, now: datetime) -> LiveTotals:
    """Since midnight UTC; zeros when Redis is away. Needs no scope."""
    return _counts(tenant_id, now, now)


def counts_month(*, tenant_id: int, now: datetime) -> LiveTotals:
    """Since the first of the month, UTC. Needs no scope."""
    return _counts(tenant_id, now.astimezone(UTC).replace(day=1), now)


def first_check_seen(*, tenant_id: int, now: datetime) -> bool:
    return counts_month(tenant_id=tenant_id, now=now).checks > 0


def _counts(tenant_id: int, first: datetime, last: datetime) -> LiveTotals:
    reader = cast("HashReader", counters())
    try:
        return live_totals(reader, tenant=tenant_id, first=first.astimezone(UTC), last=last.astimezone(UTC))
    except RedisError as error:
        log.warning("counts_unknown", tenant=tenant_id, reason=str(error))
        return LiveTotals()
