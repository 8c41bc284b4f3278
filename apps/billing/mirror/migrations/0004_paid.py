"""What was really paid of an invoice: a balance may have taken its part."""

from django.db import migrations

VIEW = """
CREATE OR REPLACE VIEW public.billing_invoice WITH (security_barrier) AS
    SELECT i.id, a.tenant_id, coalesce(i.stripe_data->>'number', '') AS number, i.stripe_data->>'status' AS status,
        coalesce(to_timestamp((i.stripe_data->'status_transitions'->>'finalized_at')::bigint), i.created) AS made_at,
        to_timestamp((line->'period'->>'start')::bigint) AS period_starts_at,
        to_timestamp((line->'period'->>'end')::bigint) AS period_ends_at,
        (i.stripe_data->>'total')::bigint AS total_cents, (i.stripe_data->>'amount_remaining')::bigint AS remaining_cents,
        coalesce((i.stripe_data->>'post_payment_credit_notes_amount')::bigint, 0)
        + coalesce((i.stripe_data->>'pre_payment_credit_notes_amount')::bigint, 0) AS credited_cents,
        coalesce(i.stripe_data->>'hosted_invoice_url', '') AS page_url, coalesce(i.stripe_data->>'invoice_pdf', '') AS pdf_url,
        (i.stripe_data->>'amount_paid')::bigint AS paid_cents
    FROM public.djstripe_invoice i JOIN public.billing_account a ON a.customer = i.customer_id
    LEFT JOIN LATERAL (
        SELECT line FROM jsonb_array_elements(i.stripe_data->'lines'->'data') AS line
        ORDER BY (line->'period'->>'end')::bigint DESC, (line->'period'->>'start')::bigint LIMIT 1
    ) AS newest ON true
    WHERE a.tenant_id = public.app_tenant() AND i.stripe_data->>'status' <> 'draft'
"""


class Migration(migrations.Migration):
    dependencies = [("djstripe", "0003_contact")]
    operations = [migrations.RunSQL(VIEW, migrations.RunSQL.noop)]
