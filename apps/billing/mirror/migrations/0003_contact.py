"""Whom Stripe writes to, and the tax ids it writes on invoices."""

from django.conf import settings
from django.db import migrations

VIEW = """
CREATE VIEW public.billing_contact WITH (security_barrier) AS
    SELECT c.id, a.tenant_id, c.email, ARRAY(
        SELECT t.stripe_data->>'value' FROM public.djstripe_taxid t WHERE t.customer_id = c.id ORDER BY 1
    ) AS tax_ids
    FROM public.djstripe_customer c JOIN public.billing_account a ON a.customer = c.id
    WHERE a.tenant_id = public.app_tenant();
"""


def view_make(apps, schema_editor):
    schema_editor.execute(VIEW)
    application = schema_editor.quote_name(settings.DATABASE_APPLICATION_ROLE)
    schema_editor.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.billing_contact FROM {application}")


def view_drop(apps, schema_editor):
    schema_editor.execute("DROP VIEW public.billing_contact")


class Migration(migrations.Migration):
    dependencies = [("djstripe", "0002_views")]
    operations = [migrations.RunPython(view_make, view_drop)]
