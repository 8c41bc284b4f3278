"""How the way from usage to money is doing, as one row of numbers that the application's role may read."""

from django.conf import settings
from django.db import migrations

HEALTH = """
ALTER TABLE billing.posted ADD COLUMN differing bigint NOT NULL DEFAULT 0,
    ADD COLUMN compared_at timestamptz NOT NULL DEFAULT now();
CREATE VIEW public.billing_health AS SELECT
    extract(epoch FROM now() - p.until)::float AS unposted_s,
    p.differing,
    extract(epoch FROM now() - p.compared_at)::float AS uncompared_s,
    o.untold, o.untold_s, o.refused,
    (SELECT count(*) FROM public.billing_settlement WHERE done_at IS NULL) AS unsettled,
    (SELECT count(*) FROM public.billing_happening WHERE sent_at IS NULL) AS unsent
FROM billing.posted AS p, (
    SELECT coalesce(sum(abs(units)) FILTER (WHERE refused IS NULL), 0)::bigint AS untold,
        coalesce(extract(epoch FROM now() - min(made_at) FILTER (WHERE refused IS NULL)), 0)::float AS untold_s,
        count(*) FILTER (WHERE refused IS NOT NULL AND made_at > now() - interval '40 days') AS refused
    FROM billing.overage WHERE told_at IS NULL
) AS o
"""


def view_make(apps, schema_editor):
    role = schema_editor.quote_name(settings.DATABASE_APPLICATION_ROLE)
    schema_editor.execute(HEALTH)
    schema_editor.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.billing_health FROM {role}")


def view_drop(apps, schema_editor):
    schema_editor.execute("DROP VIEW public.billing_health")
    schema_editor.execute("ALTER TABLE billing.posted DROP COLUMN differing, DROP COLUMN compared_at")


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_giving")]
    operations = [migrations.RunPython(view_make, view_drop)]
