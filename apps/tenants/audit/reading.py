"""Reading the log, inside the tenant's scope: newest first. What leaves is frozen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from apps.tenants.audit.chain import record_read
from apps.tenants.audit.models import AuditEntry


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """`record` is the text that was hashed; `before` and `after` are of it."""

    id: int
    seq: int
    at: datetime
    action: str
    actor_kind: str
    actor_id: int | None
    actor_name: str
    target_kind: str
    target_id: str
    target_name: str
    via: str
    ip: str
    request_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    record: str
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; empty is everything. `actor` is a part of a name, or a kind of actor as “kind:task”; `action`
    is a code or the part before its point; `target` a part of a name, or “rule:4711”.
    """

    actor: str = ""
    action: str = ""
    target: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_anything(self) -> bool:
        return bool(self.actor or self.action or self.target or self.since or self.until)


def entries_of(*, tenant_id: int, wanted: Wanted, before_seq: int | None = None, limit: int) -> list[EntryInfo]:
    rows = _wanted(AuditEntry.objects.filter(tenant_id=tenant_id), wanted)
    if before_seq is not None:
        rows = rows.filter(seq__lt=before_seq)
    return [_info(row) for row in rows.order_by("-seq")[:limit]]


def history_of(*, tenant_id: int, target_kind: str, target_id: int, limit: int) -> list[EntryInfo]:
    rows = AuditEntry.objects.filter(tenant_id=tenant_id, target_kind=target_kind, target_id=str(target_id))
    return [_info(row) for row in rows.order_by("-seq")[:limit]]


def links_after(*, tenant_id: int, seq: int, limit: int) -> Iterator[AuditEntry]:
    """In the order of the chain."""
    return iter(AuditEntry.objects.filter(tenant_id=tenant_id, seq__gt=seq).order_by("seq")[:limit])


def _wanted(rows: QuerySet[AuditEntry], wanted: Wanted) -> QuerySet[AuditEntry]:
    if wanted.actor.startswith("kind:"):
        rows = rows.filter(actor_kind=wanted.actor.removeprefix("kind:"))
    elif wanted.actor:
        rows = rows.filter(actor_name__icontains=wanted.actor)
    if "." in wanted.action:
        rows = rows.filter(action=wanted.action)
    elif wanted.action:
        rows = rows.filter(target_kind=wanted.action)
    kind, colon, ident = wanted.target.partition(":")
    if colon and ident.isdecimal():
        rows = rows.filter(target_kind=kind, target_id=ident)
    elif wanted.target:
        rows = rows.filter(target_name__icontains=wanted.target)
    if wanted.since is not None:
        rows = rows.filter(created_at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(created_at__lt=wanted.until)
    return rows


def _info(row: AuditEntry) -> EntryInfo:
    read = record_read(row.record)
    return EntryInfo(
        row.id, row.seq, row.created_at, row.action, row.actor_kind, row.actor_id, row.actor_name, row.target_kind,
        row.target_id, row.target_name, row.via, read["from"]["ip"], read["from"]["request_id"], read["before"],
        read["after"], row.record, row.prev_hash, row.hash,
    )  # fmt: skip
