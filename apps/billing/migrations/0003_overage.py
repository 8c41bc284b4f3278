"""Overage as it is told to whoever collects: rows that sum up to what a period's bill says, each told once."""

from django.conf import settings
from django.db import migrations

OVERAGE = """
CREATE TABLE billing.overage (
    tenant_id bigint NOT NULL, period_at timestamptz NOT NULL, seq integer NOT NULL,
    units bigint NOT NULL CHECK (units <> 0), at timestamptz NOT NULL, identifier text NOT NULL UNIQUE,
    made_at timestamptz NOT NULL DEFAULT now(), tried_at timestamptz, told_at timestamptz, refused text,
    PRIMARY KEY (tenant_id, period_at, seq)
);
CREATE INDEX overage_untold ON billing.overage (made_at) WHERE told_at IS NULL;
-- Rows of usage up to this number have been looked at.
ALTER TABLE billing.posted ADD COLUMN overage_number bigint NOT NULL DEFAULT 0;
"""


def overage_make(apps, schema_editor):
    metering = schema_editor.quote_name(settings.DATABASE_INGEST_ROLE)
    schema_editor.execute(OVERAGE)
    schema_editor.execute(f"GRANT SELECT, INSERT ON billing.overage TO {metering}")
    schema_editor.execute(f"GRANT UPDATE (tried_at, told_at, refused) ON billing.overage TO {metering}")


def overage_drop(apps, schema_editor):
    schema_editor.execute(
        "DROP TABLE billing.overage; ALTER TABLE billing.posted DROP COLUMN overage_number"
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_models")]
    operations = [migrations.RunPython(overage_make, overage_drop)]
