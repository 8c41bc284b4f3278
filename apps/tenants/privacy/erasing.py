"""Removing a tenant from everywhere. For the owner's role, which alone may delete from every table.

Every step can be repeated, and they stand in an order in which a crash between any two leaves a purge that begins
again: big tables first, partition by partition, each with a commit of its own; then, while nobody else can open the
tenant's scope, one transaction in which everything goes that came meanwhile, the people, and the tenant; then what lies
outside of the database. `purged_at` comes last.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from graphlib import TopologicalSorter
from importlib import import_module

import structlog
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import F
from psycopg import sql

from apps.tenants.idempotency.answering import KEPT as ANSWERS_KEPT
from apps.tenants.models import Cell, Deletion, Membership, Tenant, User
from apps.tenants.privacy.deletion import GRACE
from apps.tenants.privacy.exporting import KEPT as EXPORTS_KEPT
from apps.tenants.privacy.exporting import exports_remove
from apps.tenants.privacy.holdings import (
    Elsewhere,
    Holding,
    Retention,
    Shown,
    When,
    elsewhere,
    elsewhere_declare,
    holdings,
    holdings_declare,
    retentions_declare,
    shown_declare,
)

ALWAYS = "as long as the organisation exists"

log = structlog.get_logger(__name__)


class OwnerNeeded(RuntimeError):
    """The application's role may not delete what is only appended to, nor reach other rooms' tables."""


def purge(*, deletion_id: int, now: datetime) -> bool:
    """False when it is not due, was taken back, is done, or another process is at it."""
    if not settings.DATABASE_IS_OWNER:
        raise OwnerNeeded("a purge needs DATABASE_ROLE=owner")
    with _alone(deletion_id) as is_mine:
        open_ = Deletion.objects.filter(id=deletion_id, taken_back_at=None, purged_at=None, due_at__lte=now)
        if not is_mine or not open_.update(begun_at=now):
            return False
        tenant_id = Deletion.objects.values_list("tenant_id", flat=True).get(id=deletion_id)
        if Tenant.objects.filter(id=tenant_id).exists():
            for place in elsewhere(When.BEFORE):
                place.erase(tenant_id)
            schema = _cell_of(tenant_id)
            _admin_log_erase(tenant_id, schema)
            rows_erase(tenant_id=tenant_id, schema=schema, in_parts=True)
            _rest_erase(tenant_id, schema)
        for place in elsewhere(When.AFTER):
            place.erase(tenant_id)
        Deletion.objects.filter(id=deletion_id).update(purged_at=now)
    log.info("tenant_purged", tenant=tenant_id, deletion=deletion_id)
    return True


def rows_erase(*, tenant_id: int, schema: str, in_parts: bool) -> int:
    """From every table that carries a tenant but those that are kept; returns how many. `in_parts` is for outside of
    transactions: each partition commits for itself, and the small tables of `public`, which say who belongs to it, are
    left for the last transaction.
    """
    kept = {holding.table for holding in holdings() if holding.kept}
    gone = 0
    for place, name in _in_order(tables_with_tenant(schema)):
        if f"{'cell' if place == schema else place}.{name}" in kept or (in_parts and place == "public"):
            continue
        for part in _parts(place, name) if in_parts else [(place, name)]:
            with connection.cursor() as cursor:
                cursor.execute(
                    sql.SQL("DELETE FROM {} WHERE tenant_id = %s").format(sql.Identifier(*part)), [tenant_id]
                )
                gone += max(0, cursor.rowcount)
    return gone


def tables_with_tenant(schema: str) -> list[tuple[str, str]]:
    """(schema, table) of every table with a column tenant_id, of the shared schemas and of one cell; partitions are
    parts of their table.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT n.nspname, c.relname FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
              AND (n.nspname IN ('public', 'analytics', 'billing') OR n.nspname = %s)
            ORDER BY 1, 2
            """,
            [schema],
        )
        return [(place, name) for place, name in cursor.fetchall()]


def sessions_end(user_ids: list[int]) -> int:
    """In the database and in the cache. Sessions say whose they are only when they are opened, so all are looked at."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    wanted, ended = {str(user_id) for user_id in user_ids}, 0
    if not wanted:
        return 0
    for session in Session.objects.iterator(chunk_size=1_000):
        if session.get_decoded().get("_auth_user_id") in wanted:
            store(session.session_key).delete()
            ended += 1
    return ended


def holdings_register() -> None:
    holdings_declare(
        Holding(table="cell.tenants_audit_auditentry"),
        Holding(
            table="cell.tenants_idempotency_idempotentanswer",
            not_exported="answers that were given already",
            sealed=("sealed",),
        ),
        Holding(table="public.tenants_audithead", not_exported="the last entry of the audit log says the same"),
        Holding(table="public.tenants_deletion", kept="says that, and when, a tenant of that number went"),
        Holding(table="public.tenants_export", hidden=("file", "try_after", "tries")),
        Holding(
            table="public.tenants_invitation",
            hidden=("nonce", "digest", "email_digest", "try_after"),
            sealed=("email",),
        ),
        Holding(table="public.tenants_keyindex", not_exported="digests of keys, which apikeys has, too"),
        Holding(table="public.tenants_membership"),
    )
    shown_declare(
        Shown(
            "organisation",
            "SELECT t.name, t.slug, t.timezone, t.created_at, t.suspended_at, c.region FROM public.tenants_tenant t"
            " JOIN public.tenants_cell c ON c.id = t.cell_id WHERE t.id = public.app_tenant()",
        ),
        Shown(
            "people",
            "SELECT u.id, u.email, u.name, m.role, m.created_at AS joined_at, u.last_login FROM public.tenants_user u"
            " JOIN public.tenants_membership m ON m.user_id = u.id WHERE m.tenant_id = public.app_tenant()",
        ),
    )
    retentions_declare(
        Retention("Organisation", "The audit log, settings, members", until=ALWAYS),
        Retention("Organisation", "Files of exports", EXPORTS_KEPT),
        Retention("Organisation", "Answers that are given again for an Idempotency-Key", ANSWERS_KEPT),
        Retention("Organisation", "Everything, after an owner asked for the deletion", GRACE),
    )
    elsewhere_declare(
        Elsewhere("files of exports", When.BEFORE, exports_remove),
        Elsewhere("people who belong to nothing else", When.WITHIN, _people_erase),
    )


def _rest_erase(tenant_id: int, schema: str) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [tenant_id])  # scopes share it: none is open now
        for place in elsewhere(When.WITHIN):
            place.erase(tenant_id)
        rows_erase(tenant_id=tenant_id, schema=schema, in_parts=False)
        cell_id = Tenant.objects.values_list("cell_id", flat=True).get(id=tenant_id)
        Tenant.objects.filter(id=tenant_id).delete()
        Cell.objects.filter(id=cell_id, tenant_count__gt=0).update(tenant_count=F("tenant_count") - 1)


def _people_erase(tenant_id: int) -> None:
    """Members of this tenant alone; who belongs to another one, or to us, stays."""
    here = Membership.objects.filter(tenant_id=tenant_id)
    elsewhere_too = Membership.objects.filter(user_id__in=here.values("user_id")).exclude(tenant_id=tenant_id)
    gone = User.objects.filter(id__in=here.values("user_id"), is_staff=False).exclude(
        id__in=elsewhere_too.values("user_id")
    )
    user_ids = list(gone.values_list("id", flat=True))
    sessions_end(user_ids)
    kind = ContentType.objects.get_for_model(User)
    LogEntry.objects.filter(content_type=kind, object_id__in=[str(user_id) for user_id in user_ids]).delete()
    User.objects.filter(id__in=user_ids).delete()


def _admin_log_erase(tenant_id: int, schema: str) -> None:
    """What staff did to it, which names it."""
    LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(Tenant), object_id=str(tenant_id)).delete()
    kinds = {kind.model_class(): kind.id for kind in ContentType.objects.all()}
    names = {model._meta.db_table: kind for model, kind in kinds.items() if model is not None}  # noqa: SLF001
    for place, name in tables_with_tenant(schema):
        if place != schema or name not in names:
            continue
        with connection.cursor() as cursor:
            cursor.execute(
                sql.SQL(
                    "DELETE FROM public.django_admin_log WHERE content_type_id = %s"
                    " AND object_id IN (SELECT id::text FROM {} WHERE tenant_id = %s)"
                ).format(sql.Identifier(place, name)),
                [names[name], tenant_id],
            )


def _cell_of(tenant_id: int) -> str:
    return str(Tenant.objects.values_list("cell__schema_name", flat=True).get(id=tenant_id))


def _in_order(tables: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that refer to others come before them."""
    order: TopologicalSorter[tuple[str, str]] = TopologicalSorter(dict.fromkeys(tables, ()))
    known = set(tables)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT fn.nspname, f.relname, tn.nspname, t.relname FROM pg_constraint c
            JOIN pg_class f ON f.oid = c.conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
            JOIN pg_class t ON t.oid = c.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
            WHERE c.contype = 'f' AND c.conrelid <> c.confrelid
            """
        )
        for place, name, target_place, target in cursor.fetchall():
            if {(place, name), (target_place, target)} <= known:
                order.add((target_place, target), (place, name))
    return list(order.static_order())


def _parts(place: str, name: str) -> list[tuple[str, str]]:
    """Its partitions, or the table itself where it has none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_partition_tree(%s::regclass) p JOIN pg_class c ON c.oid = p.relid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.isleaf ORDER BY 2",
            [f'"{place}"."{name}"'],
        )
        return [(part_place, part) for part_place, part in cursor.fetchall()] or [(place, name)]


@contextmanager
def _alone(deletion_id: int) -> Iterator[bool]:
    """On a connection of its own, so that a broken transaction does not lose the lock."""
    keeper = connection.copy()
    try:
        with keeper.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext('tenants.purge'), %s)", [deletion_id])
            row = cursor.fetchone()
            yield bool(row and row[0])
    finally:
        keeper.close()
