"""Tenants that were deleted: what doors bring of them later is not counted."""

from django.conf import settings
from django.db import migrations

ERASED = """
CREATE TABLE analytics.erased (tenant_id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
"""


def table_make(apps, schema_editor):
    schema_editor.execute(ERASED)
    schema_editor.execute(f"GRANT SELECT ON analytics.erased TO {schema_editor.quote_name(settings.DATABASE_INGEST_ROLE)}")


def table_drop(apps, schema_editor):
    schema_editor.execute("DROP TABLE analytics.erased")


class Migration(migrations.Migration):
    dependencies = [("analytics", "0005_salt")]

    operations = [migrations.RunPython(table_make, table_drop)]
