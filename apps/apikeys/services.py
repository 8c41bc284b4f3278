"""Issuing, rotating and revoking API keys, inside their tenant's scope.

A secret exists in the answer of the service that made it and nowhere else. The shared index is written in the same
transaction; doors learn of it after the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from apps.apikeys.models import SCOPES, ApiKey
from apps.apikeys.selectors import KeyInfo, key_info
from apps.core.errors import Conflict, Forbidden, Invalid, NotFound
from apps.core.scope import tenant_scope
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.permissions import Permission, scopes_beyond
from apps.tenants.selectors import TenantInfo
from apps.tenants.services import key_index_end, key_index_put, tenant_create
from ratelimiter.snapshot.keyring import Pepper, key_digest, key_generate

FIRST_KEY_NAME = "First test key"
LONGEST_OVERLAP = timedelta(days=90)
PREFIX_CHARACTERS = 12  # rl_live_ and four more


@dataclass(frozen=True, slots=True)
class KeyIssued:
    """`secret` is to be shown once and then forgotten."""

    key: KeyInfo
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    tenant: TenantInfo
    secret: str = field(repr=False)


def organisation_open(*, user_id: int, name: str, timezone: str = "UTC") -> Opened:
    """A tenant with its owner and a first test key, all or nothing. Raises Invalid, Conflict and NoCell."""
    tenant = tenant_create(name=name, owner_id=user_id, timezone=timezone)
    with tenant_scope(tenant.id):
        issued = key_create(tenant_id=tenant.id, name=FIRST_KEY_NAME, live=False, created_by_id=user_id)
    return Opened(tenant, issued.secret)


def key_create(
    *,
    tenant_id: int,
    name: str,
    live: bool,
    scopes: Sequence[str] = ("check",),
    expires_at: datetime | None = None,
    created_by_id: int | None = None,
    granted_by: frozenset[Permission] | None = None,
) -> KeyIssued:
    """`granted_by` is what whoever makes it may, None for the house.

    Raises Invalid with the fields at fault, Forbidden for scopes beyond that, Conflict at the most keys there may be.
    """
    _fields_verify(name=name, scopes=scopes, expires_at=expires_at)
    _grant_require(scopes, granted_by)
    if ApiKey.objects.filter(tenant_id=tenant_id, revoked_at=None).count() >= settings.MAX_KEYS:
        raise Conflict(f"There are {settings.MAX_KEYS} API keys already; revoke one that is no longer used.")
    issued = _issue(
        tenant_id=tenant_id,
        name=name.strip(),
        live=live,
        scopes=scopes,
        expires_at=expires_at.astimezone(UTC) if expires_at else None,  # PostgreSQL knows no offset past 15:59
        created_by_id=created_by_id,
    )
    audit_write(tenant_id=tenant_id, action="key.created", target=_target(issued.key), after=_said(issued.key))
    return issued


def key_revoke(*, tenant_id: int, key_id: int, now: datetime) -> None:
    """For good; again is no error. Raises NotFound."""
    key = _revoke(tenant_id, key_id, now)
    if key is not None:
        audit_write(
            tenant_id=tenant_id,
            action="key.revoked",
            target=_target(key),
            before={"revoked_at": None},
            after={"revoked_at": now},
        )


def key_rotate(
    *,
    tenant_id: int,
    key_id: int,
    overlap: timedelta,
    now: datetime,
    created_by_id: int | None = None,
    granted_by: frozenset[Permission] | None = None,
) -> KeyIssued:
    """A new key like the old one, which goes on working for `overlap`; zero ends it at once.

    Raises NotFound, Conflict for a key that has ended, Invalid for an overlap below zero or above 90 days, Forbidden
    for a key that may more than `granted_by`.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise Invalid("The overlap is not valid.", fields={"overlap": "Choose between none and 90 days."})
    old = ApiKey.objects.select_for_update().filter(tenant_id=tenant_id, id=key_id).first()
    if old is None:
        raise NotFound(f"there is no API key {key_id}")
    _grant_require(old.scopes, granted_by)
    if not key_info(old).is_active(now):
        raise Conflict("This API key has ended; make a new one instead.")
    issued = _issue(
        tenant_id=tenant_id,
        name=old.name,
        live=old.live,
        scopes=old.scopes,
        expires_at=old.expires_at,
        created_by_id=created_by_id,
        rotated_from_id=old.id,
    )
    before = key_info(old)
    _end_after(old, overlap, now)
    audit_write(
        tenant_id=tenant_id,
        action="key.rotated",
        target=_target(before),
        before={"expires_at": before.expires_at, "replaced_by": None},
        after={"expires_at": old.expires_at if overlap else now, "replaced_by": issued.key.masked},
    )
    return issued


def _revoke(tenant_id: int, key_id: int, now: datetime) -> KeyInfo | None:
    """None where it is revoked already. Raises NotFound."""
    row = ApiKey.objects.filter(tenant_id=tenant_id, id=key_id).first()
    if row is None:
        raise NotFound(f"there is no API key {key_id}")
    if not ApiKey.objects.filter(tenant_id=tenant_id, id=key_id, revoked_at=None).update(revoked_at=now):
        return None
    key_index_end(tenant_id=tenant_id, key_id=key_id, revoked_at=now)
    return key_info(row)


def _target(key: KeyInfo) -> Target:
    return Target(key.id, f"{key.name} ({key.masked})")


def _said(key: KeyInfo) -> dict[str, Any]:
    return {"name": key.name, "live": key.live, "scopes": key.scopes, "expires_at": key.expires_at}


def _end_after(old: ApiKey, overlap: timedelta, now: datetime) -> None:
    if not overlap:
        _revoke(old.tenant_id, old.id, now)
        return
    ends_at = now + overlap
    if old.expires_at is None or old.expires_at > ends_at:
        old.expires_at = ends_at
        old.save(update_fields=["expires_at"])
        key_index_end(tenant_id=old.tenant_id, key_id=old.id, expires_at=ends_at)


def _issue(
    *,
    tenant_id: int,
    name: str,
    live: bool,
    scopes: Sequence[str],
    expires_at: datetime | None,
    created_by_id: int | None,
    rotated_from_id: int | None = None,
) -> KeyIssued:
    secret = key_generate(live=live)
    digest = key_digest(secret, _newest_pepper())
    ordered = [scope for scope in SCOPES if scope in scopes]
    row = ApiKey.objects.create(
        tenant_id=tenant_id,
        name=name,
        live=live,
        prefix=secret[:PREFIX_CHARACTERS],
        last_four=secret[-4:],
        digest=digest,
        scopes=ordered,
        expires_at=expires_at,
        rotated_from_id=rotated_from_id,
        created_by_id=created_by_id,
    )
    key_index_put(digest=digest, tenant_id=tenant_id, key_id=row.id, live=live, scopes=ordered, expires_at=expires_at)
    return KeyIssued(key_info(row), secret)


def _grant_require(scopes: Sequence[str], granted_by: frozenset[Permission] | None) -> None:
    beyond = [] if granted_by is None else scopes_beyond(scopes, granted_by)
    if beyond:
        text = f"A key with the scope “{beyond[0]}” may more than you may yourself."
        raise Forbidden(text, fields={"scopes": text})


def _newest_pepper() -> Pepper:
    version, secret = settings.KEY_PEPPERS[0]
    return Pepper(version, bytes.fromhex(secret))


def _fields_verify(*, name: str, scopes: Sequence[str], expires_at: datetime | None) -> None:
    fields = {}
    if expires_at is not None and not 1970 <= expires_at.year <= 9998:
        fields["expires_at"] = "This is no moment that a key could end at."
    if not 1 <= len(name.strip()) <= 64:
        fields["name"] = "Use 1 to 64 characters."
    if not scopes:
        fields["scopes"] = "Choose at least one."
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        fields["scopes"] = f"“{unknown[0]}” is not a scope; there are: {', '.join(SCOPES)}."
    if fields:
        raise Invalid("The API key is not valid.", fields=fields)
