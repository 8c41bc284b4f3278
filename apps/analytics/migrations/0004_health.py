"""How ingest is doing, as one row of numbers that the application's role may read: nothing of any tenant is in it."""

from django.conf import settings
from django.db import migrations

HEALTH = """
CREATE VIEW public.analytics_health AS SELECT
    coalesce((
        SELECT max(extract(epoch FROM now() - heard)) FROM (
            SELECT max(heard_at) AS heard FROM analytics.ingest_source
            WHERE NOT is_over AND left_out_at IS NULL GROUP BY partition
        ) AS partitions
    ), 0)::float AS lag_s,
    (SELECT coalesce(sum(missing), 0) FROM analytics.ingest_gap)::bigint AS missing,
    (SELECT count(*) FROM analytics.dead_letter) AS dead_letters,
    (SELECT count(*) FROM analytics.consumer_offset WHERE stopped <> '') AS stopped_partitions,
    (SELECT count(DISTINCT boot) FROM analytics.ingest_source WHERE left_out_at IS NOT NULL AND NOT is_over) AS left_out,
    (SELECT extract(epoch FROM now() - until) FROM analytics.settled)::float AS unsettled_s
"""


def view_make(apps, schema_editor):
    role = schema_editor.quote_name(settings.DATABASE_APPLICATION_ROLE)
    schema_editor.execute(HEALTH)
    schema_editor.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.analytics_health FROM {role}")


def view_drop(apps, schema_editor):
    schema_editor.execute("DROP VIEW public.analytics_health")


class Migration(migrations.Migration):
    dependencies = [("analytics", "0003_identifier_text")]
    operations = [migrations.RunPython(view_make, view_drop)]
