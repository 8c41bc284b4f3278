"""What row-level security stands on: the application's rights, the shared sequence, and the two functions of a scope."""

from django.conf import settings
from django.db import migrations

# Raises when no scope is open: null before the first scope of a session, empty after it. Never returns null, because a
# policy that compares with null hides every row without a word.
APP_TENANT = """
CREATE FUNCTION public.app_tenant() RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE held text := current_setting('app.tenant_id', true);
BEGIN
  IF held IS NULL OR held = '' THEN
    RAISE insufficient_privilege USING MESSAGE = 'no tenant scope is open';
  END IF;
  RETURN held::bigint;
END $$;
"""

# Locks first and looks then, so that a tenant that moves is found in its new cell. Returns null for an unknown tenant.
SCOPE_OPEN = """
CREATE FUNCTION public.tenant_scope_open(wanted bigint) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE cell text;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(wanted);
  SELECT c.schema_name INTO cell
    FROM public.tenants_tenant t JOIN public.tenants_cell c ON c.id = t.cell_id WHERE t.id = wanted;
  IF cell IS NULL THEN RETURN NULL; END IF;
  PERFORM set_config('search_path', quote_ident(cell) || ', public', true);
  PERFORM set_config('app.tenant_id', wanted::text, true);
  RETURN cell;
END $$;
"""


def rights_grant(apps, schema_editor):
    """To what is there and to all that the owner will ever make, so that cells need no grants of their own."""
    role = schema_editor.quote_name(settings.DATABASE_APPLICATION_ROLE)
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {role}",
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO {role}",
    ):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.RunPython(rights_grant, migrations.RunPython.noop),
        migrations.RunSQL("CREATE SEQUENCE public.row_id", "DROP SEQUENCE public.row_id"),
        migrations.RunSQL(APP_TENANT, "DROP FUNCTION public.app_tenant()"),
        migrations.RunSQL(SCOPE_OPEN, "DROP FUNCTION public.tenant_scope_open(bigint)"),
    ]
