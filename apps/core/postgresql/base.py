"""django-tenants' PostgreSQL backend for schemas that hold many tenants.

For the owner's role (migrations, new cells) it is the stock backend. For the application's role it never sets a search
path itself: only core.scope does, locally to a transaction, which is what makes connections safe to share.
"""

from typing import Any

from django.conf import settings
from django.db.backends.base.introspection import TableInfo
from django_tenants.postgresql_backend.base import DatabaseWrapper as TenantsDatabaseWrapper
from django_tenants.postgresql_backend.introspection import DatabaseSchemaIntrospection


class OwnSchemaIntrospection(DatabaseSchemaIntrospection):  # type: ignore[misc]
    """Lists the tables of the connection's schema by its name; the stock query reads the whole catalogue each time."""

    def get_table_list(self, cursor: Any) -> list[TableInfo]:
        cursor.execute(
            """
            SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = %s AND c.relkind IN ('f', 'm', 'p', 'r', 'v')
            """,
            [self.connection.schema_name],
        )
        return [TableInfo(name, kind) for name, kind in cursor.fetchall()]


class DatabaseWrapper(TenantsDatabaseWrapper):  # type: ignore[misc]
    # The tenant whose scope is open on this connection; set by core.scope alone.
    open_tenant_id: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.introspection = OwnSchemaIntrospection(self)

    def _handle_search_path(self, cursor: Any = None) -> None:
        if settings.DATABASE_IS_OWNER:
            super()._handle_search_path(cursor)
