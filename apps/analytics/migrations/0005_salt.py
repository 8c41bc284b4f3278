"""The application may digest what somebody types, to look for those whose text is nowhere kept."""

from django.conf import settings
from django.db import migrations, models


def view_make(apps, schema_editor):
    role = schema_editor.quote_name(settings.DATABASE_APPLICATION_ROLE)
    schema_editor.execute("CREATE VIEW public.analytics_salt AS SELECT one, salt FROM analytics.secret")
    schema_editor.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.analytics_salt FROM {role}")


def view_drop(apps, schema_editor):
    schema_editor.execute("DROP VIEW public.analytics_salt")


class Migration(migrations.Migration):
    dependencies = [("analytics", "0004_health")]
    operations = [
        migrations.RunPython(view_make, view_drop),
        migrations.CreateModel(
            name="Salt",
            fields=[("one", models.BooleanField(primary_key=True, serialize=False)), ("salt", models.BinaryField())],
            options={"db_table": "analytics_salt", "managed": False},
        ),
    ]
