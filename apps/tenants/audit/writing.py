"""Writing an entry, in the transaction of what it is about: both are there, or neither.

One statement takes the tenant's head, which stays locked until the commit, and appends the link: entries of one tenant
come one after the other, without gaps. Whoever raises the tenant's revision in the same transaction does that first,
so that locks are taken in one order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.core.origin import Origin, origin_now
from apps.core.scope import tenant_scope
from apps.tenants.audit.actions import ACTIONS
from apps.tenants.audit.chain import GENESIS, VERSION, changes, moment_write, record_write

MAX_NAME = 254
MAX_ID = 64

_APPEND = f"""
WITH head AS (
  INSERT INTO public.tenants_audithead AS held (tenant_id, seq, prev_hash, hash)
  VALUES (%(tenant)s, 1, '{GENESIS}',
          encode(sha256(convert_to('{GENESIS}' || E'\\n1\\n' || %(record)s, 'UTF8')), 'hex'))
  ON CONFLICT (tenant_id) DO UPDATE SET
    seq = held.seq + 1, prev_hash = held.hash,
    hash = encode(sha256(convert_to(held.hash || E'\\n' || (held.seq + 1) || E'\\n' || %(record)s, 'UTF8')), 'hex')
  RETURNING seq, prev_hash, hash
)
INSERT INTO tenants_audit_auditentry (
  tenant_id, created_at, seq, action, actor_kind, actor_id, actor_name, target_kind, target_id, target_name, via,
  record, prev_hash, hash
)
SELECT %(tenant)s, %(at)s, seq, %(action)s, %(actor_kind)s, %(actor_id)s, %(actor_name)s, %(target_kind)s,
       %(target_id)s, %(target_name)s, %(via)s, %(record)s, prev_hash, hash
FROM head
"""  # noqa: S608 - a constant


class ActionUnknown(RuntimeError):
    """Not in actions.py: a mistake in the code."""


@dataclass(frozen=True, slots=True)
class Target:
    """What it was done to, as it was called then."""

    id: int | str
    name: str


def audit_write(
    *,
    tenant_id: int,
    action: str,
    target: Target,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """In the caller's transaction; opens the tenant's scope unless it is open. None of `before` or `after` is for what
    was made or is gone; where both are there and say the same, nothing was done and nothing is written.

    Raises ActionUnknown, SecretInAudit, ScopeConflict, TenantUnknown.
    """
    if action not in ACTIONS:
        raise ActionUnknown(action)
    changed = changes(before, after)
    if changed.is_empty:
        return
    with tenant_scope(tenant_id):
        _append(tenant_id, action, target, {"before": changed.before, "after": changed.after}, origin_now())


def _append(tenant_id: int, action: str, target: Target, values: dict[str, Any], origin: Origin) -> None:
    actor, now = origin.actor(), timezone.now()
    columns = {
        "actor_kind": actor.kind, "actor_id": actor.id, "actor_name": _cut(actor.name),
        "target_kind": action.partition(".")[0], "target_id": str(target.id)[:MAX_ID],
        "target_name": _cut(target.name), "via": origin.via, "action": action,
    }  # fmt: skip
    record = record_write(
        {
            "v": VERSION,
            "tenant": tenant_id,
            "at": moment_write(now),
            "action": action,
            "actor": {"kind": actor.kind, "id": actor.id, "name": columns["actor_name"]},
            "target": {
                "kind": columns["target_kind"],
                "id": columns["target_id"],
                "name": columns["target_name"],
            },
            "from": {"via": origin.via, "ip": origin.ip()[:45], "request_id": origin.request_id()[:64]},
            **values,
        }
    )
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, {"tenant": tenant_id, "at": now, "record": record, **columns})


def _cut(text: str) -> str:
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"
