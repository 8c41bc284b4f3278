"""Bringing what is sealed to the newest key, so that an old one can be taken away. May be killed and run again."""

import json
from collections.abc import Callable
from typing import Any

from django.db import connection
from psycopg import sql

from apps.core.scope import TenantUnknown, tenant_scope
from apps.core.sealing import is_newest, seal, unseal
from apps.tenants.models import Tenant
from apps.tenants.privacy.holdings import Holding, holdings

PAGE = 500
FACTORS = ("public.mfa_authenticator", "data")  # people's second steps: JSON with sealed texts in it


def reseal() -> dict[str, int]:
    """Column → how many of its rows were sealed anew. A row that changes meanwhile is left: what changed it has sealed
    it with the newest key. Raises SealBroken when a key is missing.
    """
    done: dict[str, int] = {}
    shared = [holding for holding in holdings() if holding.sealed and holding.schema != "cell"]
    celled = [holding for holding in holdings() if holding.sealed and holding.schema == "cell"]
    for holding in shared:
        _holding_reseal(holding, done)
    for tenant_id in list(Tenant.objects.order_by("id").values_list("id", flat=True)):
        try:
            with tenant_scope(tenant_id):
                for holding in celled:
                    _holding_reseal(holding, done)
        except TenantUnknown:
            continue
    table, column = FACTORS
    done[f"{table}.{column}"] = _column_reseal(table, column, "::jsonb", _factor)
    return done


def _holding_reseal(holding: Holding, done: dict[str, int]) -> None:
    table = holding.name if holding.schema == "cell" else holding.table
    for column in holding.sealed:
        name = f"{holding.table}.{column}"
        done[name] = done.get(name, 0) + _column_reseal(table, column, "", _text)


def _column_reseal(table: str, column: str, cast: str, renew: Callable[[str], str | None]) -> int:
    """`renew` gives None for what is fine."""
    names = {"table": sql.Identifier(*table.split(".")), "column": sql.Identifier(column), "cast": sql.SQL(cast)}
    page = sql.SQL(
        "SELECT id, {column}::text FROM {table} WHERE id > %s AND {column}::text <> '' ORDER BY id LIMIT %s"
    ).format(**names)
    change = sql.SQL("UPDATE {table} SET {column} = %s{cast} WHERE id = %s AND {column}::text = %s").format(**names)
    changed, last = 0, 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(page, [last, PAGE])
            rows = cursor.fetchall()
            if not rows:
                return changed
            for row_id, held in rows:
                renewed = renew(held)
                if renewed is not None:
                    cursor.execute(change, [renewed, row_id, held])
                    changed += cursor.rowcount
            last = rows[-1][0]


def _text(held: str) -> str | None:
    return None if is_newest(held) else seal(unseal(held))


def _factor(held: str) -> str | None:
    read: dict[str, Any] = json.loads(held)
    renewed = {name: _text(value) for name, value in read.items() if name in ("secret", "seed") and value}
    changed = {name: value for name, value in renewed.items() if value is not None}
    return json.dumps(read | changed) if changed else None
