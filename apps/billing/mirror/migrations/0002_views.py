"""What a tenant may read of the mirror: its own, inside its scope."""

from django.conf import settings
from django.db import migrations

VIEWS = """
CREATE VIEW public.billing_invoice WITH (security_barrier) AS
    SELECT i.id, a.tenant_id, coalesce(i.stripe_data->>'number', '') AS number, i.stripe_data->>'status' AS status,
        coalesce(to_timestamp((i.stripe_data->'status_transitions'->>'finalized_at')::bigint), i.created) AS made_at,
        to_timestamp((line->'period'->>'start')::bigint) AS period_starts_at,
        to_timestamp((line->'period'->>'end')::bigint) AS period_ends_at,
        (i.stripe_data->>'total')::bigint AS total_cents, (i.stripe_data->>'amount_remaining')::bigint AS remaining_cents,
        coalesce((i.stripe_data->>'post_payment_credit_notes_amount')::bigint, 0)
        + coalesce((i.stripe_data->>'pre_payment_credit_notes_amount')::bigint, 0) AS credited_cents,
        coalesce(i.stripe_data->>'hosted_invoice_url', '') AS page_url, coalesce(i.stripe_data->>'invoice_pdf', '') AS pdf_url
    FROM public.djstripe_invoice i JOIN public.billing_account a ON a.customer = i.customer_id
    LEFT JOIN LATERAL (
        SELECT line FROM jsonb_array_elements(i.stripe_data->'lines'->'data') AS line
        ORDER BY (line->'period'->>'end')::bigint DESC, (line->'period'->>'start')::bigint LIMIT 1
    ) AS newest ON true
    WHERE a.tenant_id = public.app_tenant() AND i.stripe_data->>'status' <> 'draft';

CREATE VIEW public.billing_card WITH (security_barrier) AS
    SELECT m.id, a.tenant_id, m.stripe_data->'card'->>'brand' AS brand, m.stripe_data->'card'->>'last4' AS last4,
        (m.stripe_data->'card'->>'exp_month')::integer AS exp_month,
        (m.stripe_data->'card'->>'exp_year')::integer AS exp_year,
        m.id = coalesce(s.stripe_data->>'default_payment_method', c.default_payment_method_id) IS TRUE AS is_default
    FROM public.djstripe_paymentmethod m
    JOIN public.billing_account a ON a.customer = m.customer_id
    JOIN public.djstripe_customer c ON c.id = m.customer_id
    LEFT JOIN public.djstripe_subscription s ON s.id = a.subscription
    WHERE a.tenant_id = public.app_tenant() AND m.stripe_data->>'type' = 'card';
"""


def views_make(apps, schema_editor):
    schema_editor.execute(VIEWS)
    application = schema_editor.quote_name(settings.DATABASE_APPLICATION_ROLE)
    for view in ("billing_invoice", "billing_card"):
        schema_editor.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.{view} FROM {application}")


def views_drop(apps, schema_editor):
    schema_editor.execute("DROP VIEW public.billing_card; DROP VIEW public.billing_invoice")


class Migration(migrations.Migration):
    dependencies = [("djstripe", "0001_tables"), ("billing", "0004_account")]
    operations = [migrations.RunPython(views_make, views_drop)]
