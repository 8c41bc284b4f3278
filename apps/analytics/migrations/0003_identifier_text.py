"""People look for identifiers by their text."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("analytics", "0002_views")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX identifier_text ON analytics.identifier (tenant_id, value)",
            "DROP INDEX analytics.identifier_text",
        )
    ]
