"""Whether chains hold: every link is computed anew, and the last one must be the head that the shared schema keeps.

Who can change rows as the owner can change a head, too: a head that was written down elsewhere (the command prints it)
is what such a hand cannot reach.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from apps.core.scope import TenantUnknown, tenant_scope
from apps.tenants.audit.chain import GENESIS, link_hash, moment_write, record_read
from apps.tenants.audit.models import AuditEntry
from apps.tenants.audit.reading import links_after
from apps.tenants.models import AuditHead, Tenant

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Verified:
    """`broken` says what is wrong with the first entry that does not hold."""

    tenant_id: int
    slug: str
    entries: int
    hash: str
    broken: str | None = None


def chains_verify(*, slug: str | None = None) -> Iterator[Verified]:
    """Tenant by tenant. One that is deleted meanwhile is left out."""
    tenants = Tenant.objects.order_by("id")
    if slug is not None:
        tenants = tenants.filter(slug=slug)
    for tenant_id, its_slug in list(tenants.values_list("id", "slug")):
        try:
            with tenant_scope(tenant_id):
                yield _verify(tenant_id, its_slug)
        except TenantUnknown:
            continue


def _verify(tenant_id: int, slug: str) -> Verified:
    """Entries that come meanwhile are followed until none is left: rows and head change in one transaction."""
    seq, last = 0, GENESIS
    while True:
        for link in links_after(tenant_id=tenant_id, seq=seq, limit=PAGE):
            problem = _problem(link, tenant_id, seq + 1, last)
            if problem is not None:
                return Verified(tenant_id, slug, seq, last, problem)
            seq, last = link.seq, link.hash
        head = AuditHead.objects.filter(tenant_id=tenant_id).first()
        head_seq, head_hash = (head.seq, head.hash) if head else (0, GENESIS)
        if head_seq > seq:
            if AuditEntry.objects.filter(tenant_id=tenant_id, seq__gt=seq).exists():
                continue
            return Verified(
                tenant_id, slug, seq, last, f"entry {seq + 1} is missing, the last one should be {head_seq}"
            )
        if head_seq < seq:
            return Verified(tenant_id, slug, head_seq, last, f"entry {head_seq + 1} is beyond the head of the chain")
        broken = None if head_hash == last else f"entry {seq} is not the head of the chain"
        return Verified(tenant_id, slug, seq, last, broken)


def _problem(link: AuditEntry, tenant_id: int, seq: int, last: str) -> str | None:
    if link.seq != seq:
        return f"entry {seq} is missing"
    if link.prev_hash != last:
        return f"entry {seq} does not follow the one before it"
    if link_hash(prev_hash=last, seq=seq, record=link.record) != link.hash:
        return f"entry {seq} has been changed"
    if _columns(link) != _recorded(link.record, tenant_id):
        return f"entry {seq} says something else in its columns than in its record"
    return None


def _columns(link: AuditEntry) -> dict[str, object]:
    return {
        "tenant": link.tenant_id, "at": moment_write(link.created_at), "action": link.action, "via": link.via,
        "actor": {"kind": link.actor_kind, "id": link.actor_id, "name": link.actor_name},
        "target": {"kind": link.target_kind, "id": link.target_id, "name": link.target_name},
    }  # fmt: skip


def _recorded(record: str, tenant_id: int) -> dict[str, object]:
    try:
        read = record_read(record)
        return {name: read[name] for name in ("at", "action", "actor", "target")} | {
            "tenant": tenant_id if read["tenant"] == tenant_id else None,
            "via": read["from"]["via"],
        }
    except (ValueError, KeyError, TypeError):
        return {}
