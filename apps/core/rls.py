"""Migration operations that put a table of a cell under row-level security.

The policy calls public.app_tenant(), which raises when no scope is open, so a forgotten scope is an error and never an
empty or a foreign answer. No FORCE: the owner adds foreign keys and dumps. Requires columns `tenant_id` and `id`.
"""

from django.conf import settings
from django.db.migrations.operations import RunSQL


def protect(table: str) -> RunSQL:
    """Policy plus unique (tenant_id, id), which both in-cell references and the planner need."""
    return RunSQL(
        f"""
        ALTER TABLE "{table}" ADD CONSTRAINT "{table}_tenant_row" UNIQUE (tenant_id, id);
        ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY;
        CREATE POLICY tenant ON "{table}" USING (tenant_id = public.app_tenant());
        """,
        f"""
        DROP POLICY tenant ON "{table}";
        ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY;
        ALTER TABLE "{table}" DROP CONSTRAINT "{table}_tenant_row";
        """,
    )


def refer(table: str, column: str, target: str, *, on_delete: str = "CASCADE") -> RunSQL:
    """A reference inside the cell that includes the tenant: foreign-key checks bypass row security."""
    name = f"{table}_{column}_in_tenant"
    return RunSQL(
        f"""
        ALTER TABLE "{table}" ADD CONSTRAINT "{name}"
        FOREIGN KEY (tenant_id, "{column}") REFERENCES "{target}" (tenant_id, id) ON DELETE {on_delete};
        """,
        f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}";',
    )


def append_only(table: str) -> RunSQL:
    """The application may read and add rows, and neither change nor remove any; by grants and, besides, by triggers."""
    role = f'"{settings.DATABASE_APPLICATION_ROLE}"'
    return RunSQL(
        f"""
        REVOKE UPDATE, DELETE, TRUNCATE ON "{table}" FROM {role};
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON "{table}"
          FOR EACH ROW EXECUTE FUNCTION public.append_only();
        CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON "{table}"
          FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();
        """,
        f"""
        DROP TRIGGER append_only_truncate ON "{table}";
        DROP TRIGGER append_only ON "{table}";
        GRANT UPDATE, DELETE ON "{table}" TO {role};
        """,
    )
