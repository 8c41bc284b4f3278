"""What doors know comes from here: PostgreSQL is the truth, Redis holds what doors read.

A change is published right after its commit. The sweep, every few seconds, compares what Redis really holds with what
it should hold and repairs the difference; so a task that was lost, or a Redis that lost everything, heals by itself.
Only the sweep says that the keyring is complete, after it has compared every key of one life (epoch) of the published
data: until then doors answer 503 to keys they do not know, never 401.

A scope is open only while the rules are read, never while Redis is spoken to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import structlog
from django.core.cache import cache
from redis.exceptions import LockError

from apps.core.counters import counters
from apps.core.errors import NotFound
from apps.core.scope import TenantUnknown, tenant_scope
from apps.limits.selectors import OverrideInfo, RuleInfo, overrides_in_force, rules_of, sharding_of
from apps.plans.selectors import PlanQuota, quota_of
from apps.plans.services import periods_renew, trials_end
from apps.tenants.selectors import KeyEntry, digests_known, key_entries, key_entry_get, tenant_get, tenants_published
from ratelimiter.engine import rules as engine
from ratelimiter.engine.matching import Sharding
from ratelimiter.engine.quota import Quota
from ratelimiter.snapshot.model import Identity, TenantSnapshot, overrides_encode
from ratelimiter.snapshot.publish import Publisher

SWEEP_LOCK_S = 60  # a sweep that takes longer may be joined by another one, which does no harm
PAGE = 1_000
EXPIRED_KEPT = timedelta(days=30)  # until then a caller hears that the key has expired, later that it is unknown

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many entries were not as they should be."""

    snapshots: int
    keys: int


def snapshot_publish(*, tenant_id: int, now: datetime) -> int:
    """Returns the revision that was compiled. Raises NotFound for a tenant that is gone, RedisError."""
    snapshot = snapshot_compile(tenant_id=tenant_id, now=now)
    Publisher(counters()).snapshot_publish(snapshot)
    return snapshot.revision


def snapshot_compile(*, tenant_id: int, now: datetime) -> TenantSnapshot:
    """The revision is read before the rules: newer rules under an older revision are corrected by their own
    publication, older rules under a newer one would stay. Overrides that are over are left out.
    """
    tenant = tenant_get(tenant_id)
    quota = quota_of(tenant_id, now)
    with tenant_scope(tenant_id):
        rules = rules_of(tenant_id)
        overrides = overrides_in_force(tenant_id=tenant_id, now=now)
        sharding = sharding_of(tenant_id)
    enabled = tuple(rule_compile(rule) for rule in rules if rule.enabled)
    return TenantSnapshot(
        tenant_id,
        tenant.revision,
        enabled,
        suspended=tenant.suspended_at is not None,
        namespaces=tuple(sorted({rule.namespace for rule in rules})),
        overrides={
            rule.id: overrides_encode([override_compile(held) for held in overrides[rule.id]])
            for rule in enabled
            if rule.id in overrides
        },
        sharding=None if sharding is None else Sharding(sharding.dimension, sharding.shards),
        quota=quota_compile(quota),
        inline_types=quota.plan.rule_types,
    )


def rule_compile(rule: RuleInfo) -> engine.Rule:
    return engine.Rule(
        id=rule.id,
        name=rule.name,
        type=engine.RuleType(rule.type),
        limit=rule.limit,
        window_ms=rule.window_ms,
        key=rule.key,
        namespace=rule.namespace,
        match=msgspec.convert(rule.match, engine.Match),
        algorithm=engine.Algorithm(rule.algorithm),
        burst=rule.burst,
        mode=engine.RuleMode(rule.mode),
        on_failure=engine.FailurePolicy(rule.on_failure),
        priority=rule.priority,
        ipv6_prefix=rule.ipv6_prefix,
        action=engine.Action(rule.action),
        calendar=_calendar(rule),
        escalation=_escalation(rule),
        lease=rule.lease,
    )


def override_compile(held: OverrideInfo) -> engine.Override:
    limit = engine.UNLIMITED if held.limit is None else held.limit
    return engine.Override(held.values, limit, held.burst, 0 if held.expires_at is None else _ms(held.expires_at))


def quota_compile(quota: PlanQuota) -> Quota:
    return Quota(quota.period.id, quota.cap, _ms(quota.period.ends_at), quota.following.id)


def _calendar(rule: RuleInfo) -> engine.Calendar | None:
    if not rule.calendar_unit:
        return None
    return engine.Calendar(engine.CalendarUnit(rule.calendar_unit), rule.calendar_zone, rule.calendar_anchor)


def _escalation(rule: RuleInfo) -> engine.Escalation | None:
    if not rule.escalation_breaches:
        return None
    return engine.Escalation(rule.escalation_breaches, rule.escalation_within_ms, rule.escalation_block_ms)


def key_publish(*, tenant_id: int, key_id: int, now: datetime) -> None:
    """Raises NotFound, RedisError."""
    entry = key_entry_get(tenant_id=tenant_id, key_id=key_id)
    if entry is None:
        raise NotFound(f"there is no API key {key_id} of tenant {tenant_id}")
    _key_settle(Publisher(counters()), entry, now)


def sweep(*, now: datetime) -> Swept | None:
    """None when another sweep is under way. Raises RedisError."""
    lock = cache.lock("publish-sweep", timeout=SWEEP_LOCK_S, blocking=False)  # type: ignore[attr-defined]
    if not lock.acquire():
        return None
    try:
        swept = _sweep(Publisher(counters()), now)
    finally:
        try:
            lock.release()
        except LockError:
            log.warning("sweep_took_longer_than_its_lock", seconds=SWEEP_LOCK_S)
    if swept.keys or swept.snapshots:
        log.info("sweep_repaired", snapshots=swept.snapshots, keys=swept.keys)
    return swept


def _sweep(publisher: Publisher, now: datetime) -> Swept:
    epoch = publisher.epoch_ensure()
    keys = sum(_keys_repair(publisher, page, now) for page in key_entries(page=PAGE))
    keys += sum(_surplus_withdraw(publisher, page) for page in publisher.digests_held())
    if not publisher.keyring_is_complete():
        publisher.keyring_mark_complete(epoch)
    trials_end(now=now)
    periods_renew(now=now)
    return Swept(_snapshots_repair(publisher, now), keys)


def _keys_repair(publisher: Publisher, entries: Iterable[KeyEntry], now: datetime) -> int:
    by_digest = {entry.digest: entry for entry in entries}
    differing = publisher.keys_differing({digest: _identity(entry, now) for digest, entry in by_digest.items()})
    for digest in differing:
        _key_settle(publisher, by_digest[digest], now)
    return len(differing)


def _key_settle(publisher: Publisher, entry: KeyEntry, now: datetime) -> None:
    """Publishes until what was published still stands: of two that publish at once, the last one to write looks again,
    so a key that was revoked meanwhile does not come back.
    """
    current: KeyEntry | None = entry
    while True:
        identity = None if current is None else _identity(current, now)
        publisher.key_publish(entry.digest, identity, tenant=entry.tenant_id)
        latest = key_entry_get(tenant_id=entry.tenant_id, key_id=entry.key_id)
        if latest == current:
            return
        current = latest


def _surplus_withdraw(publisher: Publisher, held: Mapping[str, int]) -> int:
    """A key that PostgreSQL does not know, because its tenant was deleted or a backup restored, must not work."""
    surplus = held.keys() - digests_known(held)
    for digest in surplus:
        publisher.key_publish(digest, None, tenant=held[digest])
    return len(surplus)


def _snapshots_repair(publisher: Publisher, now: datetime) -> int:
    # What Redis holds is read first, so that a change in between looks old, not new.
    held = publisher.revisions_held()
    repaired = 0
    after_id = 0
    while page := tenants_published(after_id=after_id, limit=PAGE):
        for state in page:
            revision = held.pop(state.tenant_id, None)
            if revision != state.revision:
                is_ahead = (revision or 0) > state.revision
                repaired += _snapshot_repair(publisher, state.tenant_id, now, is_ahead=is_ahead)
        after_id = page[-1].tenant_id
    for tenant_id in held:
        repaired += _orphan_withdraw(publisher, tenant_id)
    return repaired


def _snapshot_repair(publisher: Publisher, tenant_id: int, now: datetime, *, is_ahead: bool) -> int:
    """A Redis that is ahead of PostgreSQL outlived a restored backup; its snapshot would never be replaced."""
    try:
        snapshot = snapshot_compile(tenant_id=tenant_id, now=now)
    except (NotFound, TenantUnknown):
        return 0
    except (msgspec.MsgspecError, ValueError):  # one tenant's broken row must not keep the others from their rules
        log.exception("snapshot_not_compiled", tenant=tenant_id)
        return 0
    if is_ahead:
        publisher.snapshot_withdraw(tenant_id)
    publisher.snapshot_publish(snapshot)
    return 1


def _orphan_withdraw(publisher: Publisher, tenant_id: int) -> int:
    try:
        tenant_get(tenant_id)
    except NotFound:
        publisher.snapshot_withdraw(tenant_id)
        return 1
    return 0


def _identity(entry: KeyEntry, now: datetime) -> Identity | None:
    if entry.revoked_at is not None or (entry.expires_at is not None and entry.expires_at + EXPIRED_KEPT < now):
        return None
    expires_at_ms = 0 if entry.expires_at is None else _ms(entry.expires_at)
    return Identity(entry.tenant_id, entry.key_id, entry.live, entry.scopes, expires_at_ms)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
