"""Reading API keys, inside their tenant's scope. What leaves this room is frozen."""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from django.conf import settings
from redis import RedisError

from apps.apikeys.models import ApiKey
from apps.core.counters import counters
from apps.core.errors import NotFound
from apps.tenants.selectors import KeyEntry, key_entry_by_digest
from ratelimiter.snapshot.keyring import Pepper, key_digest, keys_last_used

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """`last_used_at` is at most half a minute old; None: never, or not known right now."""

    id: int
    name: str
    live: bool
    prefix: str
    last_four: str
    scopes: tuple[str, ...]
    created_at: datetime
    created_by_id: int | None
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_from_id: int | None
    last_used_at: datetime | None

    @property
    def masked(self) -> str:
        return f"{self.prefix}…{self.last_four}"

    def is_active(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


def keys_of(tenant_id: int) -> list[KeyInfo]:
    """Newest first."""
    used = _last_used(tenant_id)
    rows = ApiKey.objects.filter(tenant_id=tenant_id).order_by("-id")
    return [key_info(row, last_used_at=used.get(row.id)) for row in rows]


def keys_page(*, tenant_id: int, after_id: int | None, limit: int) -> list[KeyInfo]:
    """By id, those that have ended too."""
    used = _last_used(tenant_id)
    rows = ApiKey.objects.filter(tenant_id=tenant_id, id__gt=after_id or 0).order_by("id")[:limit]
    return [key_info(row, last_used_at=used.get(row.id)) for row in rows]


def key_get(*, tenant_id: int, key_id: int) -> KeyInfo:
    """Raises NotFound."""
    row = ApiKey.objects.filter(tenant_id=tenant_id, id=key_id).first()
    if row is None:
        raise NotFound(f"there is no API key {key_id}")
    return key_info(row, last_used_at=_last_used(tenant_id).get(row.id))


def key_find(*, tenant_id: int, key_id: int) -> KeyInfo | None:
    """Without asking when it was last used; None where there is none."""
    row = ApiKey.objects.filter(tenant_id=tenant_id, id=key_id).first()
    return None if row is None else key_info(row)


def key_names(tenant_id: int) -> dict[int, str]:
    """By id, revoked ones too."""
    return dict(ApiKey.objects.filter(tenant_id=tenant_id).values_list("id", "name"))


def secret_tenant(secret: str, *, now: datetime) -> int | None:
    """The tenant of a key that works now. Needs no scope."""
    entry = secret_entry(secret, now=now)
    return None if entry is None else entry.tenant_id


def secret_entry(secret: str, *, now: datetime) -> KeyEntry | None:
    """What is known of a key that works now. Needs no scope."""
    peppers = [Pepper(version, bytes.fromhex(pepper)) for version, pepper in settings.KEY_PEPPERS]
    entry = key_entry_by_digest(key_digest(secret, pepper) for pepper in peppers)
    if entry is None or entry.revoked_at is not None or (entry.expires_at is not None and entry.expires_at <= now):
        return None
    return entry


def key_info(row: ApiKey, *, last_used_at: datetime | None = None) -> KeyInfo:
    return KeyInfo(
        row.id, row.name, row.live, row.prefix, row.last_four, tuple(row.scopes), row.created_at, row.created_by_id,
        row.expires_at, row.revoked_at, row.rotated_from_id, last_used_at,
    )  # fmt: skip


def _last_used(tenant_id: int) -> dict[int, datetime]:
    """A page about keys is worth showing without this, so a Redis that is away only leaves it out."""
    try:
        used = keys_last_used(counters(), tenant=tenant_id)
    except RedisError as error:
        log.warning("keys_last_used_unknown", reason=str(error))
        return {}
    return {key_id: datetime.fromtimestamp(at_s, UTC) for key_id, at_s in used.items()}
