"""The schema `billing`: the usage ledger, written by the metering role and read by a tenant through a view.

Rows are only ever added, under the lock of `posted`, so `number` grows in the order in which they were committed. An hour's row with `seq` 0 is what it had when it settled; later ones are corrections, each with
the difference, billed in `billing_hour`.
"""

from django.conf import settings
from django.db import migrations

LEDGER = """
CREATE SCHEMA billing;
CREATE TABLE billing.usage (
    tenant_id bigint NOT NULL, meter text NOT NULL, usage_hour timestamptz NOT NULL, seq integer NOT NULL,
    delta bigint NOT NULL CHECK (delta <> 0), billing_hour timestamptz NOT NULL,
    posted_at timestamptz NOT NULL DEFAULT now(), number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    PRIMARY KEY (tenant_id, meter, usage_hour, seq),
    CHECK (billing_hour >= usage_hour)
);
CREATE INDEX usage_billing ON billing.usage (tenant_id, meter, billing_hour) INCLUDE (delta);

-- Every hour before `until` has been posted; late hours found before `late_until` have been corrected.
CREATE TABLE billing.posted (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), until timestamptz NOT NULL, late_until timestamptz NOT NULL
);
INSERT INTO billing.posted (until, late_until) VALUES ('epoch', 'epoch');
CREATE VIEW public.billing_posted AS SELECT * FROM billing.posted;
CREATE VIEW public.billing_usage WITH (security_barrier) AS
    SELECT * FROM billing.usage WHERE tenant_id = public.app_tenant();
"""


def ledger_make(apps, schema_editor):
    execute, quoted = schema_editor.execute, schema_editor.quote_name
    application, metering = quoted(settings.DATABASE_APPLICATION_ROLE), quoted(settings.DATABASE_INGEST_ROLE)
    execute(LEDGER)
    execute(f"REVOKE ALL ON SCHEMA billing FROM {application}")
    execute(f"GRANT USAGE ON SCHEMA billing TO {metering}")
    execute(f"GRANT SELECT, INSERT ON billing.usage TO {metering}")
    execute(f"GRANT SELECT, UPDATE ON billing.posted TO {metering}")
    for view in ("billing_posted", "billing_usage"):
        execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.{view} FROM {application}")


def ledger_drop(apps, schema_editor):
    schema_editor.execute("DROP VIEW public.billing_usage; DROP VIEW public.billing_posted; DROP SCHEMA billing CASCADE")


class Migration(migrations.Migration):
    initial = True
    dependencies = [("analytics", "0004_health"), ("plans", "0004_term")]
    operations = [migrations.RunPython(ledger_make, ledger_drop)]
