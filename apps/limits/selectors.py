"""Reading rules inside their tenant's scope, and the live numbers that doors write. What leaves this room is frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, cast

import structlog
from django.db.models import Case, Count, When
from redis import RedisError

from apps.core.counters import counters
from apps.core.errors import NotFound
from apps.limits.models import Override, Rule, Sharding
from apps.limits.shares import ShardingInfo
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
    action: str
    calendar_unit: str
    calendar_zone: str
    calendar_anchor: int
    escalation_breaches: int
    escalation_within_ms: int
    escalation_block_ms: int
    lease: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_shadow(self) -> bool:
        return self.mode == "shadow"

    @property
    def is_gate(self) -> bool:
        """It allows or denies and counts nothing."""
        return self.action != "limit"


@dataclass(frozen=True, slots=True)
class OverrideInfo:
    """See apps.limits.overrides.OverrideSpec for the meaning of the fields."""

    id: int
    rule_id: int
    values: tuple[str, ...]
    limit: int | None
    burst: int
    expires_at: datetime | None
    note: str
    created_at: datetime

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


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
    """In the order of evaluation within a namespace: what denies, what allows, then higher priority, then older."""
    place = Case(When(action="deny", then=0), When(action="allow", then=1), default=2)
    rows = Rule.objects.filter(tenant_id=tenant_id).order_by("namespace", place, "-priority", "id")
    return [rule_info(row) for row in rows]


def rules_page(*, tenant_id: int, after_id: int | None, limit: int) -> list[RuleInfo]:
    """By id."""
    rows = Rule.objects.filter(tenant_id=tenant_id, id__gt=after_id or 0).order_by("id")
    return [rule_info(row) for row in rows[:limit]]


def rule_get(*, tenant_id: int, rule_id: int) -> RuleInfo:
    """Raises NotFound, also for another tenant's rule."""
    row = Rule.objects.filter(tenant_id=tenant_id, id=rule_id).first()
    if row is None:
        raise NotFound(f"there is no rule {rule_id}")
    return rule_info(row)


def rule_info(row: Rule) -> RuleInfo:
    values = {field.name: getattr(row, field.name) for field in fields(RuleInfo)}
    return RuleInfo(**values | {"key": tuple(row.key)})


def overrides_of(*, tenant_id: int, rule_id: int) -> list[OverrideInfo]:
    """In the order of their values, the ones that are over too."""
    rows = Override.objects.filter(tenant_id=tenant_id, rule_id=rule_id).order_by("values")
    return [override_info(row) for row in rows]


def overrides_page(*, tenant_id: int, rule_id: int, after_id: int | None, limit: int) -> list[OverrideInfo]:
    """By id, the ones that are over too."""
    rows = Override.objects.filter(tenant_id=tenant_id, rule_id=rule_id, id__gt=after_id or 0).order_by("id")
    return [override_info(row) for row in rows[:limit]]


def overrides_all(tenant_id: int) -> dict[int, list[OverrideInfo]]:
    """By rule, in the order of their values, the ones that are over too."""
    held: dict[int, list[OverrideInfo]] = {}
    for row in Override.objects.filter(tenant_id=tenant_id).order_by("values"):
        held.setdefault(row.rule_id, []).append(override_info(row))
    return held


def override_get(*, tenant_id: int, rule_id: int, override_id: int) -> OverrideInfo:
    """Raises NotFound, also for another rule's."""
    row = Override.objects.filter(tenant_id=tenant_id, rule_id=rule_id, id=override_id).first()
    if row is None:
        raise NotFound(f"there is no override {override_id}")
    return override_info(row)


def overrides_in_force(*, tenant_id: int, now: datetime) -> dict[int, list[OverrideInfo]]:
    """By rule, in the order of their ids."""
    rows = Override.objects.filter(tenant_id=tenant_id).exclude(expires_at__lte=now).order_by("id")
    held: dict[int, list[OverrideInfo]] = {}
    for row in rows:
        held.setdefault(row.rule_id, []).append(override_info(row))
    return held


def override_counts(tenant_id: int) -> dict[int, int]:
    """How many each rule has, the ones that are over too; rules without are left out."""
    rows = Override.objects.filter(tenant_id=tenant_id).values_list("rule_id").annotate(Count("id")).order_by()
    return dict(rows)


def override_info(row: Override) -> OverrideInfo:
    return OverrideInfo(
        row.id, row.rule_id, tuple(row.values), row.limit, row.burst, row.expires_at, row.note, row.created_at
    )


def sharding_of(tenant_id: int) -> ShardingInfo | None:
    """None for a tenant on one slot."""
    row = Sharding.objects.filter(tenant_id=tenant_id, shards__gt=1).first()
    return None if row is None else ShardingInfo(row.shards, row.dimension)


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
